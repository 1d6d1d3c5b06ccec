package org.unifiedrl.mtf.serving;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.unifiedrl.mtf.algorithm.ServedPolicy;

class RankingExampleTest {

  @Test
  void theDocumentShowsTheExampleThatIsRun() throws IOException {
    Path root = Path.of(System.getProperty("unifiedrl.root"));
    String example =
        Files.readString(
            root.resolve("java/mtf/src/test/java/org/unifiedrl/mtf/serving/RankingExample.java"));
    String document = Files.readString(root.resolve("docs/serving.md"));
    String shown =
        document.substring(
            document.indexOf("```java\n") + "```java\n".length(),
            document.indexOf("```\n", document.indexOf("```java\n")));
    String body = example.substring(example.indexOf("final class RankingExample"));
    assertThat(shown).isEqualTo(body);
  }

  @Test
  void itRanks(@TempDir Path folder) {
    Path file = folder.resolve(PolicyModel.FILE);
    PolicyModel model = Models.small(ServedPolicy.ACTOR, 1).model();
    model.write(file);
    float[] scores = {0.1f, 0.2f, 0.9f, 0.3f, 0.4f, 0.1f};
    try (RankingExample example = new RankingExample(file, folder.resolve("log"))) {
      assertThat(example.renew()).isFalse();
      int[] page = example.rank(5, 1, new float[3], scores, 3);
      FusionPolicy.Request alone = FusionPolicy.of(model).request();
      int shown = alone.begin(5).features(new float[3]).explore(7).rank(scores, 3, 10);
      assertThat(page).containsExactly(Arrays.copyOf(alone.page(), shown));
      assertThat(Arrays.stream(page).boxed().collect(Collectors.toSet())).hasSize(3);
    }
  }
}
