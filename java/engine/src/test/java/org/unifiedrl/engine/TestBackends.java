package org.unifiedrl.engine;

import java.util.List;
import java.util.stream.Stream;

/**
 * Back ends that tests run on: those built in, and those of the libraries that the environment
 * variable {@code UNIFIEDRL_TEST_BACKENDS} names, as {@code cuda=/path/libunifiedrl_cuda.so}; pairs
 * are separated by commas. A test class asks for them before it uses the engine otherwise.
 */
final class TestBackends {

  private static final String VARIABLE = "UNIFIEDRL_TEST_BACKENDS";
  private static final List<String> LOADED = load();

  private TestBackends() {}

  /** Names of all that are to be tested. */
  static List<String> names() {
    return Stream.concat(Stream.of("reference", "cpu"), LOADED.stream()).toList();
  }

  private static List<String> load() {
    String pairs = System.getenv(VARIABLE);
    return pairs == null || pairs.isBlank()
        ? List.of()
        : Stream.of(pairs.split(",", -1)).map(TestBackends::load).toList();
  }

  private static String load(String pair) {
    int equals = pair.indexOf('=');
    if (equals < 1) {
      throw new IllegalStateException(VARIABLE + ": expected NAME=PATH, found '" + pair + "'");
    }
    String name = pair.substring(0, equals);
    String path = pair.substring(equals + 1);
    if (name.equals(Backends.CUDA)) {
      System.setProperty(CudaLibrary.PROPERTY, path);
      Backends.list();
      if (CudaLibrary.get().problem() != null) {
        throw new IllegalStateException(VARIABLE + ": " + CudaLibrary.get().problem());
      }
    } else {
      NativeLibraries.require();
      Native.check(Native.backendLoad(name, path));
    }
    return name;
  }
}
