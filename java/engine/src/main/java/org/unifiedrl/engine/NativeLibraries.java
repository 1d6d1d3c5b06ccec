package org.unifiedrl.engine;

import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.Loader;

/**
 * Finds and loads the native libraries, in this order: the folder named by the system property
 * {@value #PATH_PROPERTY}, the folders of {@code java.library.path}, the jars of this module and of
 * oneDNN. All libraries come from the first place that has the engine.
 */
final class NativeLibraries {

  static final String PATH_PROPERTY = "unifiedrl.native.path";

  private static final String ENGINE = "libunifiedrl.so";
  private static final String JNI = "libjniNative.so";

  private NativeLibraries() {}

  /** Loads everything once; called by the class initialiser of {@link Native}. */
  static void load() {
    List<String> tried = new ArrayList<>();
    String chosen = System.getProperty(PATH_PROPERTY);
    if (chosen != null) {
      if (!loadFolder(new File(chosen), tried)) {
        throw failure(tried, null);
      }
    } else if (!loadPath(tried)) {
      loadJars(tried);
    }
    int version = Native.abiVersion();
    if (version != Native.ABI_VERSION) {
      throw new UnsatisfiedLinkError(
          ENGINE
              + " has interface version "
              + version
              + ", but this Java code needs "
              + Native.ABI_VERSION
              + ": build both from one source, or remove -D"
              + PATH_PROPERTY
              + " to use the library in the jar");
    }
  }

  private static boolean loadPath(List<String> tried) {
    for (String folder :
        System.getProperty("java.library.path", "").split(File.pathSeparator, -1)) {
      if (!folder.isEmpty() && loadFolder(new File(folder), tried)) {
        return true;
      }
    }
    return false;
  }

  /** Loads from a folder that has both of our libraries; oneDNN may lie there or in the jar. */
  private static boolean loadFolder(File folder, List<String> tried) {
    File engine = new File(folder, ENGINE);
    File jni = new File(folder, JNI);
    tried.add(engine.getPath());
    tried.add(jni.getPath());
    if (!engine.isFile() || !jni.isFile()) {
      return false;
    }
    for (String dependency : dependencies()) {
      File file = new File(folder, new File(dependency).getName());
      load(file.isFile() ? file : resource(dependency, tried), tried);
    }
    load(engine, tried);
    load(jni, tried);
    return true;
  }

  private static void loadJars(List<String> tried) {
    String folder = "/org/unifiedrl/engine/" + Loader.getPlatform() + "/";
    for (String dependency : dependencies()) {
      load(resource(dependency, tried), tried);
    }
    load(resource(folder + ENGINE, tried), tried);
    load(resource(folder + JNI, tried), tried);
  }

  /**
   * Libraries that the engine needs, in load order; the run-time linker then finds them by name.
   */
  private static List<String> dependencies() {
    String folder = "/org/bytedeco/dnnl/" + Loader.getPlatform() + "/";
    return List.of(folder + "libgomp.so.1", folder + "libdnnl.so.3");
  }

  private static File resource(String name, List<String> tried) {
    tried.add("jar:" + name);
    try {
      File file = Loader.cacheResource(NativeLibraries.class, name);
      if (file == null) {
        throw failure(tried, null);
      }
      return file;
    } catch (IOException e) {
      throw failure(tried, e);
    }
  }

  private static void load(File file, List<String> tried) {
    try {
      System.load(file.getAbsolutePath());
    } catch (UnsatisfiedLinkError e) {
      throw failure(tried, e);
    }
  }

  private static UnsatisfiedLinkError failure(List<String> tried, Throwable cause) {
    UnsatisfiedLinkError error =
        new UnsatisfiedLinkError(
            "The native engine could not be loaded on platform "
                + Loader.getPlatform()
                + (cause == null ? "" : " (" + cause.getMessage() + ")")
                + ". Looked for, in this order: "
                + String.join(", ", tried)
                + ". Set -D"
                + PATH_PROPERTY
                + "=DIR to a folder that holds "
                + ENGINE
                + " and "
                + JNI
                + ", or use the jar built for this platform.");
    error.initCause(cause);
    return error;
  }
}
