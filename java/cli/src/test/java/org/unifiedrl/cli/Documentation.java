package org.unifiedrl.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** Pages of the repository, named relative to its root, and the commands that they show. */
final class Documentation {

  static final Path ROOT = Path.of(System.getProperty("unifiedrl.root"));

  private static final Pattern BLOCK =
      Pattern.compile("^```(\\w*)\\n(.*?)^```$", Pattern.DOTALL | Pattern.MULTILINE);
  private static final Pattern SPAN = Pattern.compile("(?<!`)`([^`]+)`(?!`)");

  private Documentation() {}

  /** All pages that show commands of the command line. */
  static List<String> pages() throws IOException {
    List<String> pages = new ArrayList<>();
    pages.add("README.md");
    try (Stream<Path> files = Files.list(ROOT.resolve("docs"))) {
      files
          .map(file -> "docs/" + file.getFileName())
          .filter(page -> page.endsWith(".md"))
          .sorted()
          .forEach(pages::add);
    }
    pages.addAll(
        List.of(
            "docker/README.md", "bench/README.md", "bench/gpu/README.md", "bench/peers/README.md"));
    return pages;
  }

  static String text(String page) throws IOException {
    return Files.readString(ROOT.resolve(page));
  }

  /**
   * Lines of a page's blocks of one language, block by block; a line that ends in a backslash goes
   * on in the next.
   *
   * @param language as {@code bash}; empty for blocks of none
   */
  static List<List<String>> blocks(String page, String language) throws IOException {
    Matcher block = BLOCK.matcher(text(page));
    List<List<String>> blocks = new ArrayList<>();
    while (block.find()) {
      if (block.group(1).equals(language)) {
        blocks.add(block.group(2).replaceAll("\\\\\\n\\s*", "").lines().toList());
      }
    }
    return blocks;
  }

  /** Commands of a page's blocks for the shell, in order and without their comments. */
  static List<String> commands(String page) throws IOException {
    return blocks(page, "bash").stream()
        .flatMap(List::stream)
        .map(Documentation::withoutComment)
        .filter(command -> !command.isBlank())
        .toList();
  }

  private static String withoutComment(String command) {
    return command.replaceFirst("(^|\\s+)# .*", "").stripTrailing();
  }

  /** What stands in a page's text as code, without its blocks. */
  static List<String> spans(String page) throws IOException {
    Matcher span = SPAN.matcher(BLOCK.matcher(text(page)).replaceAll(""));
    List<String> spans = new ArrayList<>();
    while (span.find()) {
      spans.add(span.group(1).replaceAll("\\s+", " ").strip());
    }
    return spans;
  }
}
