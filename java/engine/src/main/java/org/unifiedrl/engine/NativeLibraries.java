package org.unifiedrl.engine;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.JarURLConnection;
import java.net.URI;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.zip.CRC32;
import java.util.zip.CheckedInputStream;
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

  /** Why loading failed; written by the initialiser of {@link Native} only. */
  private static volatile String failure;

  /** Folder that the engine was loaded from; null for the jar. */
  private static volatile File origin;

  private NativeLibraries() {}

  /** Loads everything once; called by the class initialiser of {@link Native}. */
  static void load() {
    try {
      tryToLoad();
    } catch (UnsatisfiedLinkError e) {
      // An error in an initialiser is told once; every later use would only hear that the class
      // could not be initialised.
      failure = e.getMessage();
    }
  }

  /**
   * Called before anything else by whatever makes a native object or asks for the back ends.
   *
   * @throws EngineException with the status UNAVAILABLE and what was looked for where, each time
   */
  static void require() {
    Native.initialise();
    if (failure != null) {
      throw EngineException.unavailable(failure);
    }
  }

  /**
   * A library beside the engine's, unpacked where that lies in a jar; null if there is none.
   *
   * @param tried receives the place that is looked at
   * @throws UncheckedIOException if it cannot be unpacked
   */
  static Path beside(String name, List<String> tried) {
    if (origin != null) {
      Path file = origin.toPath().resolve(name);
      tried.add(file.toString());
      return Files.isRegularFile(file) ? file : null;
    }
    String resource = folder() + name;
    tried.add("jar:" + resource);
    URL url = NativeLibraries.class.getResource(resource);
    try {
      return url == null ? null : extract(url, Loader.getCacheDir().toPath()).toPath();
    } catch (IOException e) {
      throw new UncheckedIOException("cannot unpack jar:" + resource + ": " + e.getMessage(), e);
    }
  }

  private static void tryToLoad() {
    List<String> tried = new ArrayList<>();
    String chosen = System.getProperty(PATH_PROPERTY);
    if (chosen != null) {
      if (!loadFolder(new File(chosen), tried)) {
        throw failure(tried, "-D" + PATH_PROPERTY + "=" + chosen + " does not hold both", null);
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
    origin = folder;
    return true;
  }

  private static void loadJars(List<String> tried) {
    for (String dependency : dependencies()) {
      load(resource(dependency, tried), tried);
    }
    load(own(folder() + ENGINE, tried), tried);
    load(own(folder() + JNI, tried), tried);
  }

  private static String folder() {
    return "/org/unifiedrl/engine/" + Loader.getPlatform() + "/";
  }

  /**
   * Libraries that the engine needs, in load order; the run-time linker then finds them by name.
   */
  private static List<String> dependencies() {
    String folder = "/org/bytedeco/dnnl/" + Loader.getPlatform() + "/";
    return List.of(folder + "libgomp.so.1", folder + "libdnnl.so.3");
  }

  /** A library of a released jar, which its name and version identify. */
  private static File resource(String name, List<String> tried) {
    tried.add("jar:" + name);
    try {
      File file = Loader.cacheResource(NativeLibraries.class, name);
      if (file == null) {
        throw failure(
            tried,
            "no jar on the class path has "
                + name
                + ": add org.bytedeco:dnnl with the classifier of this platform, which"
                + " unifiedrl-engine depends on",
            null);
      }
      return file;
    } catch (IOException e) {
      throw failure(tried, "jar:" + name + " cannot be unpacked: " + e.getMessage(), e);
    }
  }

  /** A library of this module's jar, whose content changes from build to build. */
  private static File own(String name, List<String> tried) {
    tried.add("jar:" + name);
    try {
      URL url = NativeLibraries.class.getResource(name);
      if (url == null) {
        throw failure(
            tried,
            "no jar on the class path has "
                + name
                + ": there is no unifiedrl-engine for this platform there",
            null);
      }
      return extract(url, Loader.getCacheDir().toPath());
    } catch (IOException e) {
      throw failure(tried, "jar:" + name + " cannot be unpacked: " + e.getMessage(), e);
    }
  }

  /**
   * The file of a resource; one that lies in a jar is unpacked once into a folder named after its
   * checksum. Not after jar, time and size, which are the same for two builds of one version: the
   * older library would be taken, or be overwritten under a process that runs it.
   */
  static File extract(URL url, Path cache) throws IOException {
    if (!(url.openConnection() instanceof JarURLConnection connection)) {
      return new File(URI.create(url.toString()));
    }
    connection.setUseCaches(false);
    try (JarFile jar = connection.getJarFile()) {
      JarEntry entry = connection.getJarEntry();
      String name = new File(entry.getName()).getName();
      Path folder = cache.resolve("unifiedrl-engine").resolve(Long.toHexString(entry.getCrc()));
      Path file = folder.resolve(name);
      if (!Files.isRegularFile(file) || Files.size(file) != entry.getSize()) {
        Files.createDirectories(folder);
        Path temporary = Files.createTempFile(folder, name, ".part");
        CRC32 checksum = new CRC32();
        try (InputStream in = new CheckedInputStream(jar.getInputStream(entry), checksum)) {
          Files.copy(in, temporary, StandardCopyOption.REPLACE_EXISTING);
          if (checksum.getValue() != entry.getCrc()) {
            throw new IOException(
                jar.getName() + " is damaged (checksum of " + name + "): take another copy of it");
          }
          Files.move(temporary, file, StandardCopyOption.ATOMIC_MOVE);
        } finally {
          Files.deleteIfExists(temporary);
        }
      }
      return file.toFile();
    }
  }

  private static void load(File file, List<String> tried) {
    String cutOff = LinkDiagnosis.cutOff(file.toPath());
    if (cutOff != null) {
      throw failure(tried, cutOff, null);
    }
    try {
      System.load(file.getAbsolutePath());
    } catch (UnsatisfiedLinkError e) {
      String message = String.valueOf(e.getMessage()); // names the file
      String diagnosis = new LinkDiagnosis().of(file.toPath(), message);
      throw failure(tried, message + (diagnosis.isEmpty() ? "" : ". " + diagnosis), e);
    }
  }

  private static UnsatisfiedLinkError failure(List<String> tried, String reason, Throwable cause) {
    UnsatisfiedLinkError error =
        new UnsatisfiedLinkError(
            "The native engine could not be loaded on platform "
                + Loader.getPlatform()
                + ": "
                + reason.replaceFirst("\\.$", "")
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
