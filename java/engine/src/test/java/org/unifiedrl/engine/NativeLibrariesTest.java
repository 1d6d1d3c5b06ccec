package org.unifiedrl.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.jar.JarOutputStream;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A library is loaded once in a JVM, so each of these starts its own. */
class NativeLibrariesTest {

  /** Prints the back ends, or why they could not be loaded. */
  public static final class Main {
    private Main() {}

    public static void main(String[] arguments) {
      for (int use = 0; use < 2; use++) {
        try {
          Backends.list().forEach(device -> System.out.println(device.name()));
        } catch (EngineException e) {
          System.out.println(e.status() + " " + use + " " + e.getMessage());
        }
      }
    }
  }

  /** Asks for the CUDA back end by an engine, after one on the processor if so told. */
  public static final class CudaMain {
    private CudaMain() {}

    public static void main(String[] arguments) {
      Program program = new Program();
      TensorRef one = program.constant("one", 1, 1, 1);
      program.add("two", one, one);
      for (String backend : arguments) {
        try (Engine engine =
            Engine.create(program, null, EngineOptions.DEFAULT.withBackend(backend))) {
          System.out.println(backend + " is " + engine.backend());
        } catch (EngineException e) {
          System.out.println(backend + ": " + e.getMessage());
        }
      }
      Backends.list().stream()
          .filter(device -> device.name().equals(Backends.CUDA))
          .forEach(
              d ->
                  System.out.println(
                      "score " + d.score() + " of " + d.library() + ": " + d.description()));
    }
  }

  private static String start(Path path) throws IOException, InterruptedException {
    return start(Main.class, "-D" + NativeLibraries.PATH_PROPERTY + "=" + path, List.of());
  }

  private static String startCuda(Path library, String... backends)
      throws IOException, InterruptedException {
    return start(CudaMain.class, "-D" + CudaLibrary.PROPERTY + "=" + library, List.of(backends));
  }

  private static String start(Class<?> main, String option, List<String> arguments)
      throws IOException, InterruptedException {
    return output(java(main, option, System.getProperty("java.class.path"), arguments));
  }

  private static List<String> java(
      Class<?> main, String option, String classPath, List<String> arguments) {
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                option,
                "-cp",
                classPath,
                main.getName()));
    command.addAll(arguments);
    return command;
  }

  private static String output(List<String> command) throws IOException, InterruptedException {
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    process.waitFor();
    return output;
  }

  /** Uses the engine in two class loaders that know nothing of each other. */
  public static final class TwoLoadersMain {
    private TwoLoadersMain() {}

    public static void main(String[] arguments) throws Exception {
      List<URL> urls = new ArrayList<>();
      for (String part : System.getProperty("java.class.path").split(File.pathSeparator, -1)) {
        urls.add(Path.of(part).toUri().toURL());
      }
      for (int i = 0; i < 2; i++) {
        // Not closed: the libraries belong to the loader as long as it lives.
        URLClassLoader loader =
            new URLClassLoader(urls.toArray(URL[]::new), ClassLoader.getPlatformClassLoader());
        Class<?> main = Class.forName(Main.class.getName(), true, loader);
        System.out.println("loader " + i);
        main.getMethod("main", String[].class).invoke(null, (Object) arguments);
      }
    }
  }

  @Test
  void loadsFromTheFolderOfTheProperty() throws Exception {
    assertThat(start(built("libunifiedrl.so").getParent())).contains("cpu").contains("reference");
  }

  @Test
  void saysWhatWasLookedForWhereAndWhichPropertyFixesIt(@TempDir Path empty) throws Exception {
    assertThat(start(empty))
        .contains(empty.resolve("libunifiedrl.so").toString())
        .contains("libjniNative.so")
        .contains("-D" + NativeLibraries.PATH_PROPERTY + "=DIR")
        .contains("UNAVAILABLE 0 UNAVAILABLE: The native engine could not be loaded")
        .as("the second use says the same")
        .contains("UNAVAILABLE 1 UNAVAILABLE: The native engine could not be loaded");
  }

  @Test
  void aFolderOfTheLibraryPathComesBeforeTheJarsAndAfterTheProperty(@TempDir Path folder)
      throws Exception {
    for (String name : new String[] {"libunifiedrl.so", "libjniNative.so"}) {
      Files.writeString(folder.resolve(name), "found first, and no library".repeat(10));
    }
    String libraryPath = "-Djava.library.path=" + folder.resolve("empty") + ":" + folder;
    String engine = folder.resolve("libunifiedrl.so").toString();
    assertThat(start(Main.class, libraryPath, List.of()))
        .contains("UNAVAILABLE 0", engine + ": invalid ELF header")
        .contains("It is no library: it does not begin as ELF files do")
        .contains(
            "Looked for, in this order: "
                + folder.resolve("empty")
                + "/libunifiedrl.so, "
                + folder.resolve("empty")
                + "/libjniNative.so, "
                + engine);
    Path built = built("libunifiedrl.so").getParent();
    List<String> both =
        java(Main.class, libraryPath, System.getProperty("java.class.path"), List.of());
    both.add(1, "-D" + NativeLibraries.PATH_PROPERTY + "=" + built);
    assertThat(output(both)).contains("cpu", "reference").doesNotContain("UNAVAILABLE");
    assertThat(start(Main.class, "-Djava.library.path=" + folder.resolve("empty"), List.of()))
        .as("jars")
        .contains("cpu", "reference");
  }

  @Test
  void aLibraryOfAnotherProcessorIsNamedSo(@TempDir Path folder) throws Exception {
    byte[] library = Files.readAllBytes(built("libunifiedrl.so"));
    library[18] = (byte) 183; // e_machine: aarch64
    Files.write(folder.resolve("libunifiedrl.so"), library);
    Files.copy(built("libjniNative.so"), folder.resolve("libjniNative.so"));
    assertThat(start(folder))
        .contains("UNAVAILABLE 0", "It is made for aarch64, and this JVM runs on amd64");
  }

  @Test
  void aLibraryOfANewerSystemIsToldFromOthers(@TempDir Path folder) throws Exception {
    Path versions = Files.writeString(folder.resolve("v.map"), "GLIBC_2.99 { future; };");
    String option = "-Wl,--version-script=" + versions;
    Path newer =
        compiled(folder.resolve("libc.so.6"), "extern \"C\" void future() {}", "-nostdlib", option);
    String text = "extern \"C\" void future(); void use() { future(); }";
    compiled(folder.resolve("libunifiedrl.so"), text, "-nostdlib", newer.toString());
    Files.delete(newer); // or its folder would be looked at
    Files.copy(built("libjniNative.so"), folder.resolve("libjniNative.so"));
    assertThat(start(folder))
        .contains("UNAVAILABLE 0", "It was made for glibc 2.99, and this machine has 2.")
        .contains("./unifiedrl build")
        .contains("glibc " + LinkDiagnosis.OLDEST_GLIBC + " is the oldest");
  }

  @Test
  void aLibraryThatIsCutOffInItsJarIsNamedSo(@TempDir Path folder) throws Exception {
    byte[] library = Files.readAllBytes(built("libunifiedrl.so"));
    byte[] half = Arrays.copyOf(library, library.length / 2);
    Path jar = folder.resolve("engine-1.jar");
    try (JarOutputStream out = new JarOutputStream(Files.newOutputStream(jar))) {
      out.putNextEntry(new ZipEntry("org/unifiedrl/engine/linux-x86_64/libunifiedrl.so"));
      out.write(half);
    }
    String classPath = jar + File.pathSeparator + System.getProperty("java.class.path");
    String cache = "-D" + LinkDiagnosis.CACHE_PROPERTY + "=" + folder.resolve("cache");
    assertThat(output(java(Main.class, cache, classPath, List.of())))
        .contains("UNAVAILABLE 0", "libunifiedrl.so is cut off: it has " + half.length + " bytes")
        .contains("take another copy of the jar");
  }

  @Test
  void withoutTheJarOfOneDnnItSaysWhichToAdd() throws Exception {
    String classPath =
        Stream.of(System.getProperty("java.class.path").split(File.pathSeparator, -1))
            .filter(part -> !part.contains("dnnl"))
            .collect(Collectors.joining(File.pathSeparator));
    assertThat(output(java(Main.class, "-Dnothing=1", classPath, List.of())))
        .contains("UNAVAILABLE 0", "no jar on the class path has /org/bytedeco/dnnl/linux-x86_64/")
        .contains("add org.bytedeco:dnnl");
  }

  @Test
  void aSecondClassLoaderIsToldToShareTheFirst() throws Exception {
    String output = start(TwoLoadersMain.class, "-Dnothing=1", List.of());
    int second = output.indexOf("loader 1");
    assertThat(output.substring(0, second)).contains("cpu").doesNotContain("UNAVAILABLE");
    assertThat(output.substring(second))
        .contains("UNAVAILABLE 0", "already loaded in another classloader")
        .contains("A library is loaded once in a JVM")
        .contains("one class loader that all users share");
  }

  /**
   * On a file system of its own, in a mount name space of its own; LinkDiagnosisTest needs none.
   */
  @Test
  void whereNothingMayBeExecutedTheMountAndThePropertyAreNamed(@TempDir Path folder)
      throws Exception {
    String cache = "-D" + LinkDiagnosis.CACHE_PROPERTY + "=" + folder.resolve("cache");
    List<String> command =
        new ArrayList<>(
            List.of(
                "unshare",
                "--mount",
                "sh",
                "-c",
                "mount -t tmpfs -o noexec tmpfs \"$0\" && exec \"$@\"",
                folder.toString()));
    String mounted;
    try {
      mounted = output(Stream.concat(command.stream(), Stream.of("echo", "mounted")).toList());
    } catch (IOException e) {
      mounted = e.getMessage();
    }
    assumeTrue(mounted.strip().equals("mounted"), "no file system can be mounted here: " + mounted);
    command.addAll(java(Main.class, cache, System.getProperty("java.class.path"), List.of()));
    assertThat(output(command))
        .contains("UNAVAILABLE 0", "failed to map segment")
        .contains("It lies on " + folder.toRealPath() + ", which is mounted with 'noexec'")
        .contains("set -D" + LinkDiagnosis.CACHE_PROPERTY + "=DIR")
        .contains("set -D" + NativeLibraries.PATH_PROPERTY + " to it");
  }

  @Test
  void aJarThatIsDamagedIsNotUnpacked(@TempDir Path folder) throws Exception {
    URL url = jarWith(folder, "some library's content");
    Path jar = folder.resolve("engine-1.jar");
    byte[] bytes = Files.readAllBytes(jar);
    byte[] content = "library's".getBytes(StandardCharsets.US_ASCII);
    int at = new String(bytes, StandardCharsets.ISO_8859_1).indexOf("library's");
    assertThat(at).as("it is stored without compression").isPositive();
    bytes[at + content.length - 1] ^= 1;
    Files.write(jar, bytes);
    Path cache = folder.resolve("cache");
    assertThatThrownBy(() -> NativeLibraries.extract(url, cache))
        .isInstanceOf(IOException.class)
        .hasMessageContaining(jar + " is damaged (checksum of lib.so)");
    try (Stream<Path> left = Files.walk(cache)) {
      assertThat(left.filter(Files::isRegularFile)).isEmpty();
    }
  }

  private static Path built(String name) throws Exception {
    return Path.of(Native.class.getResource("linux-x86_64/" + name).toURI());
  }

  @Test
  void withoutACudaLibraryItSaysWhereOneWasLookedForAndHowToMakeIt(@TempDir Path folder)
      throws Exception {
    for (String name : new String[] {"libunifiedrl.so", "libjniNative.so"}) {
      Files.copy(built(name), folder.resolve(name));
    }
    String output =
        start(
            CudaMain.class,
            "-D" + NativeLibraries.PATH_PROPERTY + "=" + folder,
            List.of("auto", "cuda", "check:cpu,cuda"));
    String place = folder.resolve(CudaLibrary.FILE).toString();
    assertThat(output)
        .contains("auto is cpu")
        .contains("cuda: UNAVAILABLE: back end 'cuda' cannot work here: this build has no CUDA")
        .contains("check:cpu,cuda: UNAVAILABLE: back end 'cuda' cannot work here")
        .contains("score 0 of " + place)
        .contains("looked for " + place)
        .contains("./unifiedrl setup --cuda", "-D" + CudaLibrary.PROPERTY + "=FILE");
  }

  @Test
  void aCudaLibraryThatIsNotThereIsNamed(@TempDir Path folder) throws Exception {
    Path nowhere = folder.resolve("nowhere.so");
    assertThat(startCuda(nowhere, "cuda", "cuda"))
        .contains("UNAVAILABLE: back end 'cuda' cannot work here")
        .contains("-D" + CudaLibrary.PROPERTY + "=" + nowhere + " is not there")
        .contains("score 0 of " + nowhere);
    assertThat(startCuda(folder, "cuda")).contains(folder + " is not a file");
  }

  @Test
  void aFileThatIsNoLibraryIsRefusedWithTheReasonAndTheRestWorks(@TempDir Path folder)
      throws Exception {
    Path bogus = Files.writeString(folder.resolve("bogus.so"), "not a library".repeat(100));
    assertThat(startCuda(bogus, "cuda", "auto", "check:reference,cpu"))
        .contains("cuda: UNAVAILABLE: back end 'cuda' cannot work here: library '" + bogus)
        .contains("invalid ELF header")
        .contains("auto is cpu")
        .contains("check:reference,cpu is check:reference,cpu")
        .contains("score 0 of " + bogus);
    // A library, but no back end: the engine itself.
    assertThat(startCuda(built("libunifiedrl.so"), "cuda")).contains("is not a back end");
  }

  @Test
  void aCudaLibraryThatIsCutOffDoesNotKillTheProcess(@TempDir Path folder) throws Exception {
    byte[] library = Files.readAllBytes(built("libunifiedrl.so"));
    Path half = Files.write(folder.resolve("half.so"), Arrays.copyOf(library, library.length / 2));
    assertThat(startCuda(half, "cuda", "auto"))
        .contains("cuda: UNAVAILABLE", half + " is cut off: it has " + library.length / 2)
        .contains("auto is cpu");
  }

  @Test
  void theCudaLibraryIsLoadedOnceAndNotForOtherBackEnds(@TempDir Path folder) throws Exception {
    Path library =
        compiled(
            folder.resolve("talks.so"),
            """
            #include <cstdio>
            struct Talks { Talks() { std::puts("it was loaded"); std::fflush(stdout); } };
            static Talks talks;
            """);
    String others = startCuda(library, "cpu", "reference", "check:reference,cpu", "first", "cuda");
    assertThat(others.substring(0, others.indexOf("first:")))
        .contains("cpu is cpu", "check:reference,cpu is")
        .doesNotContain("it was loaded");
    assertThat(others).containsOnlyOnce("it was loaded").contains("cuda: UNAVAILABLE");
    assertThat(startCuda(library, "auto")).startsWith("it was loaded").contains("auto is cpu");
  }

  @Test
  void aLibraryOfNvidiaThatIsMissingIsNamedWithTheRemedy(@TempDir Path folder) throws Exception {
    Path blas = compiled(folder.resolve("libcublasLt.so.13"), "int blas() { return 0; }");
    String text = "int blas(); int use() { return blas(); }";
    Path library = compiled(folder.resolve("libunifiedrl_cuda.so"), text, blas.toString());
    Files.delete(blas);
    assertThat(startCuda(library, "cuda"))
        .contains("cuda: UNAVAILABLE: back end 'cuda' cannot work here")
        .contains("libcublasLt.so.13: cannot open shared object file")
        .contains("install NVIDIA's library", "LD_LIBRARY_PATH");
  }

  private static Path compiled(Path library, String text, String... libraries) throws Exception {
    Path source = Files.writeString(library.resolveSibling(library.getFileName() + ".cpp"), text);
    List<String> command =
        new ArrayList<>(List.of("c++", "-shared", "-fPIC", "-o", library.toString()));
    command.add("-Wl,-soname," + library.getFileName());
    command.add(source.toString());
    command.addAll(List.of(libraries));
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor()).as(output).isZero();
    return library;
  }

  @Test
  void twoBuildsOfOneVersionDoNotShareAnUnpackedFile(@TempDir Path folder) throws Exception {
    Path cache = folder.resolve("cache");
    File first = NativeLibraries.extract(jarWith(folder.resolve("a"), "old build"), cache);
    File second = NativeLibraries.extract(jarWith(folder.resolve("b"), "new build"), cache);
    assertThat(first).hasName("lib.so").hasContent("old build");
    assertThat(second).hasName("lib.so").hasContent("new build");
    Files.writeString(second.toPath(), "torn");
    File again = NativeLibraries.extract(jarWith(folder.resolve("b"), "new build"), cache);
    assertThat(again).isEqualTo(second).hasContent("new build");
    assertThat(second.getParentFile().list()).containsExactly("lib.so");
  }

  /** A jar of one name, time and size, as reproducible builds of one version are. */
  private static URL jarWith(Path folder, String content) throws IOException {
    Files.createDirectories(folder);
    Path jar = folder.resolve("engine-1.jar");
    try (JarOutputStream out = new JarOutputStream(Files.newOutputStream(jar))) {
      byte[] bytes = content.getBytes(StandardCharsets.UTF_8);
      CRC32 checksum = new CRC32();
      checksum.update(bytes);
      ZipEntry entry = new ZipEntry("platform/lib.so");
      entry.setTime(0);
      entry.setMethod(ZipEntry.STORED);
      entry.setSize(bytes.length);
      entry.setCrc(checksum.getValue());
      out.putNextEntry(entry);
      out.write(bytes);
    }
    return URI.create("jar:" + jar.toUri() + "!/platform/lib.so").toURL();
  }
}
