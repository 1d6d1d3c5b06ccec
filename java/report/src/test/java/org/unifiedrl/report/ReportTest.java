package org.unifiedrl.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ReportTest {

  @TempDir Path temporary;

  private Path run(String name, int seed, double eta) throws IOException {
    return SampleRuns.write(temporary.resolve(name), seed, eta);
  }

  private String page(Path... runs) throws IOException {
    Path file = temporary.resolve("report.html");
    Report.write(file, "Title", List.of(runs));
    return Files.readString(file);
  }

  private void refused(String message, Path... runs) {
    Path file = temporary.resolve("refused.html");
    assertThatThrownBy(() -> Report.write(file, "Title", List.of(runs)))
        .isInstanceOf(ReportException.class)
        .hasMessageContaining(message);
    assertThat(file).doesNotExist();
  }

  @Test
  void runsThatDifferByTheirSeedAreOneCurveWithABand() throws IOException {
    List<Run> runs =
        List.of(
            Run.read(run("a", 2, 1)),
            Run.read(run("b", 4, 1)),
            Run.read(run("c", 1, 1)),
            Run.read(run("d", 3, 1)),
            Run.read(run("e", 2, 3)));
    List<Group> groups = Group.of(runs);
    assertThat(groups).extracting(Group::label).containsExactly("A: eta 1.0", "B: eta 3.0");
    Curve curve = Curve.of(groups.get(0), Run::metrics, line -> line.value("q_mean/watch_time"));
    assertThat(curve.size()).isEqualTo(SampleRuns.LINES);
    assertThat(curve.steps()[2]).isEqualTo(300);
    // Seeds 2, 4, 1 and 3 at the third line: 5, 7, 4 and 6.
    assertThat(curve.mean()[2]).isCloseTo(5.5, within(1e-12));
    assertThat(curve.low()[2]).isEqualTo(4);
    assertThat(curve.high()[2]).isEqualTo(7);
    Curve positions =
        Curve.of(
            groups.get(0),
            Run::metrics,
            line -> line.value("box_position/power.valid"),
            line -> line.value("box_position_low/power.valid"),
            line -> line.value("box_position_high/power.valid"));
    assertThat(positions.low()[0]).isCloseTo(-0.75, within(1e-12));
    assertThat(positions.high()[0]).isCloseTo(0.25, within(1e-12));
  }

  @Test
  void aCurveEndsWithItsShortestRun() throws IOException {
    Path whole = run("whole", 1, 1);
    Path shorter = run("short", 2, 1);
    Path metrics = shorter.resolve("metrics.jsonl");
    List<String> lines = Files.readAllLines(metrics);
    Files.write(metrics, lines.subList(0, 5));
    Files.writeString(metrics, "{\"step\":600,\"q_me", StandardOpenOption.APPEND);
    Group group = Group.of(List.of(Run.read(whole), Run.read(shorter))).get(0);
    assertThat(Curve.of(group, Run::metrics, line -> line.value("q_mean")).size()).isEqualTo(5);
    assertThat(page(whole, shorter))
        .contains(
            "ends in half a line", "ends at step 500 of 1,200: curves of its group end there");
  }

  @Test
  void manyPointsAreThinnedAndTheirBandHoldsAll() throws IOException {
    Path folder = run("long", 1, 1);
    StringBuilder text = new StringBuilder();
    for (int i = 1; i <= 1000; i++) {
      text.append("{\"step\":%d,\"q_mean\":%d}\n".formatted(i, i == 500 ? 77 : i % 2));
    }
    Files.writeString(folder.resolve("metrics.jsonl"), text);
    Group group = Group.of(List.of(Run.read(folder))).get(0);
    Curve curve = Curve.of(group, Run::metrics, line -> line.value("q_mean"));
    assertThat(curve.size()).isBetween(100, 160);
    assertThat(curve.steps()[curve.size() - 1]).isEqualTo(1000);
    assertThat(curve.high()).contains(77.0);
    assertThat(curve.mean()[0]).isCloseTo(4 / 7.0, within(1e-12)); // steps 1 to 7
  }

  @Test
  void sharesAreThoseOfTheActorsObjective() throws IOException {
    Run run = Run.read(run("a", 1, 4));
    Line line = run.metrics().get(1);
    // |1 * 3 + 2 * 4|, 4 * 0.125 and 0.5 * (1 * 0.5 + 2 * 1).
    assertThat(Shares.penalty(run.settings(), line))
        .isCloseTo(0.5 / (11 + 0.5 + 1.25), within(1e-12));
    assertThat(Shares.attenuated(line)).isCloseTo(0.1, within(1e-12));
    Line undivided = new Line(1, Map.of("q_mean", 1.0, "q_deviation", 1.0, "box_distance", 1.0));
    assertThat(Shares.penalty(run.settings(), undivided)).as("weights 1 and 2").isNaN();
  }

  @Test
  void testsOverSeedsHaveTheIntervalOfTheirMean() throws IOException {
    // 1.5, 2.5 and 6.5: mean 3.5, deviation sqrt(7), t(0.975, 2) = 4.30265.
    String page = page(run("a", 1, 1), run("b", 2, 1), run("c", 6, 1));
    assertThat(page).contains("3 runs  +3.50 [-3.07, +10.07] %");
    assertThat(page(run("d", 1, 1))).contains("d  +1.50 [+1.25, +9.75] %");
  }

  @Test
  void aLiftOfNothingHasAReadableAxis() throws IOException {
    Path folder = run("nothing", 1, 1);
    Files.writeString(
        folder.resolve("result.json"), "{\"uvc_lift\": {\"mean\": 0, \"low\": 0, \"high\": 0}}");
    String page = page(folder);
    assertThat(page).contains("nothing  +0.00 [+0.00, +0.00] %", ">-1</text>", ">1</text>");
    assertThat(page.substring(page.indexOf("lift over"), page.indexOf("What training learned")))
        .doesNotContain("e-10");
  }

  @Test
  void theSettingsThatDifferAreListedAndOthersAreNot() throws IOException {
    String page = page(run("a", 1, 1), run("b", 1, 3));
    String table =
        page.substring(page.indexOf("Settings that differ"), page.indexOf("All settings"));
    assertThat(table)
        .contains("training.eta", "1.0", "3.0")
        .doesNotContain("training.lambda", "seed<");
  }

  @Test
  void namesAndValuesCannotBecomeMarkup() throws IOException {
    String bad = "<script>alert('\"1\"')<&";
    Path folder = SampleRuns.write(temporary.resolve("<script>alert(1)<&"), 1, 1);
    Files.writeString(
        folder.resolve("config.yaml"),
        "\nbaseline: {kind: \"<img src=x onerror=y>\"}\n",
        StandardOpenOption.APPEND);
    Files.writeString(
        folder.resolve("metrics.jsonl"),
        "{\"step\":9999,\"<svg onload=z>\":1.0,\"a/</title><script>\":2.0}\n",
        StandardOpenOption.APPEND);
    Path file = temporary.resolve("report.html");
    Report.write(file, bad, List.of(folder));
    String page = Files.readString(file);
    assertThat(page).contains("&lt;script&gt;alert(&#39;&quot;1&quot;&#39;)&lt;&amp;");
    assertThat(page.split("<script", -1)).as("the page's own script only").hasSize(2);
    assertThat(page).doesNotContain("<img", "<svg onload", "</title><script");
  }

  @Test
  void whatIsAbsentIsSaidWithTheCommandThatMakesIt() throws IOException {
    Path compared = run("compared", 1, 1);
    Files.delete(compared.resolve("metrics.jsonl"));
    Files.delete(compared.resolve("resources.jsonl"));
    assertThat(page(compared))
        .contains("No run has metrics of training", "unifiedrl train or demo leaves metrics.jsonl")
        .contains("No run says how fast it trained", "No run tells its actions by dimension")
        .doesNotContain("data-chart=\"");
    Path trained = run("trained", 1, 1);
    Files.delete(trained.resolve("result.json"));
    assertThat(page(trained))
        .contains("No run has an A/B test", "unifiedrl compare --policy RUN", "no result.json");
  }

  @Test
  void roundsFollowOneAnother() throws IOException {
    Path folder = temporary.resolve("progressive");
    SampleRuns.write(folder.resolve("rounds/1"), 1, 1);
    SampleRuns.write(folder.resolve("rounds/2"), 1, 1);
    SampleRuns.config(folder, "simulator", 1, 1);
    Files.writeString(
        folder.resolve("result.json"),
        """
        {"rounds": [{"round": 1, "served": true, "reason": "", "inside_share": 0.875},
                    {"round": 2, "served": false, "reason": "NCIS fell"}]}
        """);
    Run run = Run.read(folder);
    assertThat(run.rounds()).containsExactly(1200L, 2400L);
    assertThat(run.metrics()).hasSize(24);
    assertThat(run.metrics().get(12).step()).isEqualTo(1300);
    assertThat(page(folder)).contains("0.875", "not served: NCIS fell", "class=\"round\"");
  }

  @Test
  void wrongFoldersAreRefusedWithThePlaceAndTheRemedy() throws IOException {
    Path missing = temporary.resolve("missing");
    refused(missing + ": there is no such folder; give what --out of train", missing);
    Path empty = Files.createDirectories(temporary.resolve("empty"));
    refused(empty + " is not a run folder: it has no config.yaml", empty);
    Files.writeString(empty.resolve("seeds.csv"), "");
    refused(empty + " is the folder of an experiment or a sweep", empty);

    Path explored = temporary.resolve("explored");
    SampleRuns.config(explored, "simulator", 1, 1);
    refused("nothing to show: " + explored + " has neither metrics", explored);

    Path elsewhere = run("elsewhere", 1, 1);
    SampleRuns.config(elsewhere, "kuairand:/data", 1, 1);
    refused(elsewhere + " of kuairand:/data", run("a", 1, 1), elsewhere);

    Path broken = run("broken", 1, 1);
    Files.writeString(broken.resolve("metrics.jsonl"), "{\"step\":100}\nno json\n");
    refused(broken.resolve("metrics.jsonl") + ", line 2", broken);
    Path result = run("result", 1, 1);
    Files.writeString(result.resolve("result.json"), "{");
    refused(result.resolve("result.json") + " is not JSON", result);
    Path config = run("config", 1, 1);
    Files.writeString(config.resolve("config.yaml"), "a: [");
    refused(config.resolve("config.yaml") + " is not YAML", config);

    Path[] many = new Path[9];
    for (int i = 0; i < many.length; i++) {
      many[i] = run("many" + i, 1, i);
    }
    refused("9 different configurations", many);
  }
}
