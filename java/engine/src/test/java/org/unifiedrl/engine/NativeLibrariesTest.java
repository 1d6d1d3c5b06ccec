package org.unifiedrl.engine;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.jar.JarOutputStream;
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
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                option,
                "-cp",
                System.getProperty("java.class.path"),
                main.getName()));
    command.addAll(arguments);
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    process.waitFor();
    return output;
  }

  @Test
  void loadsFromTheFolderOfTheProperty() throws Exception {
    Path built =
        Path.of(Native.class.getResource("linux-x86_64/libunifiedrl.so").toURI()).getParent();
    assertThat(start(built)).contains("cpu").contains("reference");
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
  void withoutACudaLibraryItSaysWhereOneWasLookedForAndHowToMakeIt(@TempDir Path folder)
      throws Exception {
    for (String name : new String[] {"libunifiedrl.so", "libjniNative.so"}) {
      Path built = Path.of(Native.class.getResource("linux-x86_64/" + name).toURI());
      Files.copy(built, folder.resolve(name));
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
    Path engine = Path.of(Native.class.getResource("linux-x86_64/libunifiedrl.so").toURI());
    assertThat(startCuda(engine, "cuda")).contains("is not a back end");
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
      ZipEntry entry = new ZipEntry("platform/lib.so");
      entry.setTime(0);
      out.putNextEntry(entry);
      out.write(content.getBytes(StandardCharsets.UTF_8));
    }
    return URI.create("jar:" + jar.toUri() + "!/platform/lib.so").toURL();
  }
}
