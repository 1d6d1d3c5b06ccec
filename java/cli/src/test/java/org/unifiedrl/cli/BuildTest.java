package org.unifiedrl.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The commit, from git through the script of the build and the jar's manifest to the program. */
class BuildTest {

  private static final Path SCRIPT =
      Path.of(System.getProperty("unifiedrl.root"), "java/cli/src/main/build/commit");

  @TempDir Path temporary;

  private static String run(Path folder, Object... command) throws Exception {
    List<String> words = new ArrayList<>();
    for (Object word : command) {
      words.add(word.toString());
    }
    ProcessBuilder builder = new ProcessBuilder(words).directory(folder.toFile());
    builder.redirectErrorStream(true);
    Process process = builder.start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor()).as(output).isZero();
    return output.strip();
  }

  private static String git(Path folder, String... arguments) throws Exception {
    List<Object> command =
        new ArrayList<>(List.of("git", "-c", "user.name=n", "-c", "user.email=e", "-c"));
    command.add("commit.gpgsign=false");
    command.addAll(List.of(arguments));
    return run(folder, command.toArray());
  }

  /** What the program says of a jar that is built in a folder. */
  private String built(Path root) throws Exception {
    Path manifest = temporary.resolve("target/commit.mf");
    run(root, SCRIPT, root, manifest);
    Manifest read = new Manifest();
    try (var in = Files.newInputStream(manifest)) {
      read.read(in);
    }
    read.getMainAttributes().putValue("Manifest-Version", "1.0");
    Path jar = temporary.resolve("program.jar");
    write(jar, read);
    return Build.commit(jar);
  }

  private static void write(Path jar, Manifest manifest) throws IOException {
    try (OutputStream out = Files.newOutputStream(jar);
        JarOutputStream entries = new JarOutputStream(out, manifest)) {
      entries.finish();
    }
  }

  @Test
  void namesTheCommitAndWhetherFilesDiffer() throws Exception {
    Path root = Files.createDirectory(temporary.resolve("check out"));
    assertThat(built(root)).isEqualTo("unknown");
    git(root, "init", "--quiet");
    Path file = Files.writeString(root.resolve("file"), "a");
    Path within = Files.createDirectory(root.resolve("within"));
    git(root, "add", "file");
    git(root, "commit", "--quiet", "-m", "m");
    String commit = git(root, "rev-parse", "HEAD");
    assertThat(commit).matches("[0-9a-f]{40}");
    assertThat(built(root)).isEqualTo(commit);
    assertThat(built(within)).as("sources within another's repository").isEqualTo("unknown");
    Files.writeString(file, "b");
    assertThat(built(root)).isEqualTo(commit + "-modified");
  }

  @Test
  void withoutAJarOrAnEntryThereIsNone() throws IOException {
    assertThat(Build.commit(temporary)).isEqualTo("unknown");
    Path jar = temporary.resolve("plain.jar");
    Manifest manifest = new Manifest();
    manifest.getMainAttributes().putValue("Manifest-Version", "1.0");
    write(jar, manifest);
    assertThat(Build.commit(jar)).isEqualTo("unknown");
    assertThat(Build.commit(Files.writeString(temporary.resolve("text.jar"), "no jar")))
        .isEqualTo("unknown");
  }
}
