package org.unifiedrl.engine;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/**
 * Finds the CUDA back end's library and hands it to the engine, once, and only when a back end that
 * may be CUDA is asked for. It is looked for at the system property {@value #PROPERTY} or else
 * beside the engine's library. This is all that Java knows of CUDA: devices, drivers and memory are
 * the library's business.
 */
final class CudaLibrary {

  static final String PROPERTY = "unifiedrl.cuda.library";
  static final String FILE = "libunifiedrl_cuda.so";

  private static final String REMEDY =
      "build it with ./unifiedrl setup --cuda (it needs nvcc and cuBLAS), or set -D"
          + PROPERTY
          + "=FILE; see 'The CUDA back end' in README.md";

  /** The search and the load, on the first use of {@link #get}. */
  private static final class Holder {
    static final CudaLibrary LIBRARY = new CudaLibrary();
  }

  private final String where;
  private final String problem;

  private CudaLibrary() {
    List<String> tried = new ArrayList<>();
    String chosen = System.getProperty(PROPERTY);
    Path file;
    try {
      file = chosen != null ? Path.of(chosen) : NativeLibraries.beside(FILE, tried);
    } catch (RuntimeException e) {
      where = chosen != null ? chosen : String.join(", ", tried);
      problem = where + " cannot be used: " + e.getMessage();
      return;
    }
    where = file != null ? file.toString() : String.join(", ", tried);
    if (file == null) {
      problem = "this build has no CUDA library (looked for " + where + "): " + REMEDY;
    } else if (!Files.isRegularFile(file)) {
      problem =
          "-D"
              + PROPERTY
              + "="
              + chosen
              + (Files.exists(file) ? " is not a file" : " is not there")
              + ": give the path of "
              + FILE
              + ", or leave the property out to use the build's own";
    } else {
      int status = Native.backendLoad(Backends.CUDA, file.toAbsolutePath().toString());
      // The engine lists a library that it could not load, with the reason.
      problem = status == 0 || isListed() ? null : Native.error();
    }
  }

  /** The library, which the first call looks for and loads; the engine itself must be loaded. */
  static CudaLibrary get() {
    return Holder.LIBRARY;
  }

  /** Loads the library if a back end of that name may need it. */
  static void loadFor(String backend) {
    if (backend.equals("auto") || names(backend).anyMatch(Backends.CUDA::equals)) {
      get();
    }
    if (names(backend).anyMatch(Backends.CUDA::equals) && !isListed()) {
      throw EngineException.unavailable("back end '" + Backends.CUDA + "': " + get().problem());
    }
  }

  /** Whether the engine knows the back end, be it as one that cannot work. */
  static boolean isListed() {
    for (int i = 0; i < Native.backendCount(); i++) {
      if (Native.backendName(i).equals(Backends.CUDA)) {
        return true;
      }
    }
    return false;
  }

  /** The file that was given to the engine, or the places that were looked at. */
  String where() {
    return where;
  }

  /** Why the engine was given none; null if it was. */
  String problem() {
    return problem;
  }

  private static Stream<String> names(String backend) {
    return backend.startsWith(Backends.CHECK)
        ? Stream.of(backend.substring(Backends.CHECK.length()).split(",", -1))
        : Stream.of(backend);
  }
}
