package org.unifiedrl.engine;

import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Finds the CUDA back end's library and hands it to the engine, once, and only when a back end that
 * may be CUDA is asked for. It is looked for at the system property {@value #PROPERTY} or else
 * beside the engine's library. This is all that Java knows of CUDA: devices, drivers and memory are
 * the library's business.
 */
final class CudaLibrary {

  static final String PROPERTY = "unifiedrl.cuda.library";
  static final String FILE = "libunifiedrl_cuda.so";

  /** The search and the load, on the first use of {@link #get}. */
  private static final class Holder {
    static final CudaLibrary LIBRARY = new CudaLibrary(System.getProperty(PROPERTY));
  }

  private final String where;
  private final String problem;

  private CudaLibrary(String chosen) {
    List<String> tried = new ArrayList<>();
    Path file = null;
    String failure = null;
    try {
      file = chosen != null ? Path.of(chosen) : NativeLibraries.beside(FILE, tried);
    } catch (InvalidPathException | UncheckedIOException e) {
      failure = e.getMessage();
    }
    if (failure == null) {
      failure = file == null ? missing(tried) : load(file, chosen != null);
    }
    where = file != null ? file.toString() : chosen != null ? chosen : String.join(", ", tried);
    problem = failure;
  }

  private static String missing(List<String> tried) {
    return "this build has no CUDA library (looked for "
        + String.join(", ", tried)
        + "): build it with ./unifiedrl setup --cuda, which needs nvcc and cuBLAS, or set -D"
        + PROPERTY
        + "=FILE; see 'The CUDA back end' in README.md";
  }

  /** Gives the file to the engine; why it could not be loaded, or null. */
  private static String load(Path file, boolean chosen) {
    if (chosen && !Files.isRegularFile(file)) {
      return "-D%s=%s %s: give the path of %s, or leave the property out to use the build's own"
          .formatted(PROPERTY, file, Files.exists(file) ? "is not a file" : "is not there", FILE);
    }
    String cutOff = LinkDiagnosis.cutOff(file);
    if (cutOff != null) {
      return cutOff;
    }
    if (Native.backendLoad(Backends.CUDA, file.toAbsolutePath().toString()) == 0) {
      return null;
    }
    String reason = Native.error().replaceFirst("^unifiedrl_backend_load: ", "");
    return reason.contains("libcu") // of another library, which this one needs
        ? reason
            + "; install NVIDIA's library of that name and version (CUDA toolkit, or Python's"
            + " nvidia-cublas), or add its folder to LD_LIBRARY_PATH"
        : reason;
  }

  /** The library, which the first call looks for and loads; the engine itself must be loaded. */
  static CudaLibrary get() {
    return Holder.LIBRARY;
  }

  /**
   * Loads the library if a back end of that name, which may be "auto" or a pair, may need it.
   *
   * @throws EngineException with the status UNAVAILABLE if it is asked for and cannot be loaded
   */
  static void loadFor(String backend) {
    List<String> names =
        backend.startsWith(Backends.CHECK)
            ? List.of(backend.substring(Backends.CHECK.length()).split(",", -1))
            : List.of(backend);
    if (names.contains("auto")) {
      get();
    }
    if (names.contains(Backends.CUDA) && get().problem() != null) {
      throw EngineException.unavailable(
          "back end '" + Backends.CUDA + "' cannot work here: " + get().problem());
    }
  }

  /** The file that was given to the engine, or the places that were looked at. */
  String where() {
    return where;
  }

  /** Why it could not be loaded; null if it was. */
  String problem() {
    return problem;
  }
}
