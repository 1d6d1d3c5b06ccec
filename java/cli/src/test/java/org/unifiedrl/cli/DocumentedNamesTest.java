package org.unifiedrl.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.unifiedrl.mtf.experiment.ExperimentConfig;

/** Settings, classes and files that the documentation names are there. */
class DocumentedNamesTest {

  private static final Pattern LINK = Pattern.compile("\\]\\(([^)#\\s]*)(#[^)\\s]*)?\\)");
  private static final Pattern KEY = Pattern.compile("([a-z][a-z0-9_]*)(\\.[a-z][a-z0-9_]*)+");

  static List<String> pages() throws IOException {
    return Documentation.pages();
  }

  @ParameterizedTest
  @MethodSource("pages")
  void everyLinkLeadsSomewhere(String page) throws IOException {
    Matcher link = LINK.matcher(Documentation.text(page));
    Path self = Documentation.ROOT.resolve(page);
    while (link.find()) {
      if (link.group(1).startsWith("http")) {
        continue;
      }
      Path target = self.resolveSibling(link.group(1)).normalize();
      Path file = link.group(1).isEmpty() ? self : target;
      assertThat(file).as(page + ": " + link.group()).exists();
      if (link.group(2) != null) {
        assertThat(anchors(file)).as(page + ": " + link.group()).contains(link.group(2));
      }
    }
  }

  /** Anchors of headings, as GitHub forms them. */
  private static Set<String> anchors(Path page) throws IOException {
    return Files.readAllLines(page).stream()
        .filter(line -> line.startsWith("#"))
        .map(line -> line.replaceFirst("^#+ ", "").toLowerCase(Locale.ROOT))
        .map(title -> "#" + title.replaceAll("[^a-z0-9 _-]", "").replace(' ', '-'))
        .collect(Collectors.toSet());
  }

  @ParameterizedTest
  @MethodSource("pages")
  void everySettingIsOneThatThereIs(String page) throws IOException {
    ObjectNode all = Configuration.tree(ExperimentConfig.defaults());
    for (String span : Documentation.spans(page)) {
      String name = span.replaceFirst("^--set ", "").replaceFirst("[=:].*", "");
      Matcher key = KEY.matcher(name);
      boolean named = key.matches() && all.path(key.group(1)).isObject();
      if (named && !name.matches(".*\\.(json|yaml|md|py)")) {
        String pointer = "/" + name.replace('.', '/');
        assertThat(all.at(pointer).isMissingNode()).as(page + ": " + span).isFalse();
      }
    }
  }

  @Test
  void everyClassOfTheConceptsIsThere() throws IOException {
    Set<String> classes = new TreeSet<>();
    for (String span : Documentation.spans("docs/concepts.md")) {
      if (span.matches("[A-Z][a-z]+([A-Z][A-Za-z]*)?")) {
        classes.add(span + ".java");
      }
    }
    assertThat(classes).hasSizeGreaterThan(10);
    try (Stream<Path> files = Files.walk(Documentation.ROOT.resolve("java/mtf/src/main"))) {
      assertThat(files.map(file -> file.getFileName().toString()).toList()).containsAll(classes);
    }
  }
}
