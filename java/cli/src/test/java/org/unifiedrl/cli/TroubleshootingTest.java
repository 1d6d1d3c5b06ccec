package org.unifiedrl.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** docs/troubleshooting.md quotes messages that programs print. */
class TroubleshootingTest {

  private static final String PAGE = "docs/troubleshooting.md";

  /** What varies in a message, and in its page. */
  private static final Pattern HOLE = Pattern.compile("<[a-z ]+>");

  private static final List<String> sources = new ArrayList<>();

  @TempDir Path temporary;

  /** Reads all sources, with the parts of a text that is written in several put together. */
  @BeforeAll
  static void readSources() throws IOException {
    List<Path> files = new ArrayList<>(List.of(Documentation.ROOT.resolve("unifiedrl")));
    try (Stream<Path> java = Files.walk(Documentation.ROOT.resolve("java"), 20)) {
      java.filter(file -> file.toString().matches(".*/src/main/.*\\.java")).forEach(files::add);
    }
    try (Stream<Path> cpp = Files.walk(Documentation.ROOT.resolve("native"))) {
      cpp.filter(file -> file.toString().matches(".*/(core|cuda)/.*\\.(cpp|h)"))
          .forEach(files::add);
    }
    for (Path file : files) {
      String text = Files.readString(file).replaceAll("\"\\s*\\.formatted\\([^()]*\\)", "\"");
      sources.add(text.replaceAll("\"\\s*\\+?\\s*\"", ""));
    }
    assertThat(sources).hasSizeGreaterThan(200);
  }

  static List<String> messages() throws IOException {
    return Documentation.blocks(PAGE, "text").stream().flatMap(List::stream).toList();
  }

  private static boolean isPrintedSomewhere(String message) {
    List<String> fixed =
        Arrays.stream(HOLE.split(message, -1)).filter(part -> !part.isBlank()).toList();
    assertThat(fixed.stream().mapToInt(String::length).sum()).as(message).isGreaterThan(12);
    Pattern pattern =
        Pattern.compile(
            fixed.stream().map(Pattern::quote).collect(Collectors.joining(".{1,200}?")),
            Pattern.DOTALL);
    return sources.stream()
        .filter(source -> fixed.stream().allMatch(source::contains))
        .anyMatch(source -> pattern.matcher(source).find());
  }

  @ParameterizedTest
  @MethodSource("messages")
  void whatThePageQuotesIsPrinted(String message) {
    assertThat(isPrintedSomewhere(message)).as(message).isTrue();
  }

  /** Of another text the same check says no. */
  @Test
  void whatNobodyPrintsIsNotFound() throws IOException {
    assertThat(messages()).hasSizeGreaterThan(50);
    assertThat(isPrintedSomewhere("java was <version>: version <oldest> or newer is needed"))
        .isFalse();
    assertThat(isPrintedSomewhere("holds no policy; <option> give the folder of train or demo"))
        .isFalse();
  }

  @Test
  void someOfThemArePrintedHere() throws IOException {
    Path folder = Files.createDirectory(temporary.resolve("folder"));
    quoted("train", "--data", folder, "--out", temporary.resolve("a"));
    quoted("demo", "--out", temporary, "--set", "seed=1");
    quoted("demo", "--set", "training.bacth=3");
    quoted("demo", "--backend", "cudda");
    quoted("serve", "--model", folder);
    quoted("serve", "--model", temporary.resolve("none"));
    quoted("inspect", Files.write(temporary.resolve("shard-00000.arrow"), new byte[100]));
  }

  /** What a command prints that fails is a line of the page, but for what varies in it. */
  private static void quoted(Object... command) throws IOException {
    CommandLineRun run = CommandLineRun.of(command);
    assertThat(run.code()).isPositive();
    assertThat(messages())
        .as(run.err())
        .anyMatch(
            message ->
                Pattern.compile(
                        Arrays.stream(HOLE.split(message, -1))
                            .map(Pattern::quote)
                            .collect(Collectors.joining(".*?")),
                        Pattern.DOTALL)
                    .matcher(run.err())
                    .find());
  }
}
