package org.unifiedrl.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.unifiedrl.mtf.experiment.ExperimentConfig;
import org.unifiedrl.mtf.study.Cell;
import org.unifiedrl.mtf.study.CellResult;
import org.unifiedrl.mtf.study.Comparison;
import org.unifiedrl.mtf.study.Making;

class StudyReportTest {

  @TempDir Path folder;
  private StudyReport report;
  private final ObjectNode header = Json.object();

  private static CellResult result(Cell cell, float factor, double ncis) {
    return new CellResult(
        cell.identity(),
        new CellResult.Served(
            new float[] {2 * factor, 4 * factor, 8 * factor}, new float[] {10, 10, 40}, 7, 5),
        new CellResult.Offline(ncis, 123, 0.5),
        new CellResult.Explored(-2, 0.25),
        new CellResult.Cost(Map.of("train", 2.5), 1234, 50),
        "cpu",
        "",
        List.of(),
        "",
        "1, commit abc");
  }

  /** Lifts of 25 % and 75 %: mean 50, deviation 35.36, t = 2 of 1 degree of freedom: p = .295. */
  @BeforeEach
  void compare() {
    ExperimentConfig any = ExperimentConfig.defaults();
    List<Cell> cells = new ArrayList<>();
    List<CellResult> results = new ArrayList<>();
    for (long seed = 1; seed <= 2; seed++) {
      Cell before = new Cell("w", Cell.NO_DATA, "es", seed, Making.BASELINE, any, any);
      Cell after = new Cell("w", "box, wide", "rl", seed, Making.TRAIN, any, any);
      cells.addAll(List.of(before, after));
      results.add(result(before, 1, Double.NaN));
      results.add(result(after, seed == 1 ? 1.25f : 1.75f, (double) seed));
    }
    header.put("name", "trial").put("title", "A title").put("question", "Is it so?");
    header.put("command", "./unifiedrl experiment trial").put("machine", "2 processors of X");
    header.put("date", "2026-01-01T00:00:00Z");
    header.putObject("programs").put("1, commit abc", 3).put("2, commit def", 1);
    header.putObject("backends").put("cpu", 4);
    header.putArray("seeds").add(1).add(2);
    ObjectNode world = Json.object();
    world.putObject("settings").put("simulator.value", 1);
    ObjectNode headroom = world.putObject("headroom");
    headroom.putObject("oracle_over_constant").put("mean", 9.5).put("low", 8).put("high", 11);
    report =
        new StudyReport(
            folder,
            header,
            Comparison.of(cells, results, "es", 100),
            Map.of("w", world),
            List.of());
    report.write();
  }

  @Test
  void theReportSaysWhatWasRunAndShowsEveryRow() throws IOException {
    List<String> lines = Files.readAllLines(folder.resolve("report.md"));
    assertThat(lines)
        .startsWith("# trial: A title", "", "Is it so?")
        .contains("./unifiedrl experiment trial", "## w")
        .contains("| w | `simulator.value=1` | not measured | +9.50 [+8.00, +11.00] |")
        .contains(
            "| es | - | 4.67 | reference | | 20.0 | reference | |  | refused | 0.5000 ± 0.0000 | -2.00 | 1,234"
                + " | 50 | 2.5 |")
        .contains(
            "| rl | box, wide | 7.00 | +50.00 ± 35.36 [-267.66, +367.66] | 0.30 | 20.0 |"
                + " +0.00 ± 0.00 [+0.00, +0.00] |  |"
                + " +0.00 ± 0.00 [+0.00, +0.00] | 1.50 ± 0.71 | 0.5000 ± 0.0000 | -2.00 | 1,234 | 50 |"
                + " 2.5 |");
    assertThat(String.join("\n", lines))
        .contains("back end cpu, version 1, commit abc (3 cells) and 2, commit def (1 cells)")
        .contains("Seeds [1,2]")
        .contains("by Student's t");
    long columns =
        lines.stream()
            .filter(l -> l.startsWith("| method"))
            .findFirst()
            .orElseThrow()
            .chars()
            .filter(c -> c == '|')
            .count();
    assertThat(lines.stream().filter(l -> l.startsWith("| rl") || l.startsWith("| es")))
        .allSatisfy(l -> assertThat(l.chars().filter(c -> c == '|').count()).isEqualTo(columns));
  }

  @Test
  void oneSeedSpeaksOfItsPolicyAlone() {
    header.putArray("seeds").add(1);
    assertThat(report.markdown())
        .contains("of one seed, with a 95 % interval by paired bootstrap over its users")
        .doesNotContain("Student");
  }

  @Test
  void theTablesForProgramsHoldTheSameNumbers() throws IOException {
    assertThat(Files.readAllLines(folder.resolve("results.csv")))
        .startsWith("world,data,method,metric,seeds,mean,deviation,low,high,p,p_holm")
        .contains("w,-,es,ncis,0,,,,,,")
        .contains("w,-,es,uvc,2,4.666666666666667,0.0,4.666666666666667,4.666666666666667,,")
        .anyMatch(line -> line.startsWith("w,\"box, wide\",rl,uvc_lift,2,50.0,35.35533905932738,"));
    assertThat(Files.readAllLines(folder.resolve("seeds.csv")))
        .hasSize(5)
        .anyMatch(line -> line.startsWith("w,\"box, wide\",rl,2,75.0,"));
    JsonNode json = Json.MAPPER.readTree(Files.readString(folder.resolve("results.json")));
    JsonNode lift = json.at("/rows/1/metrics/uvc_lift");
    assertThat(lift.path("mean").asDouble()).isEqualTo(50);
    assertThat(lift.path("p_holm").asDouble()).isEqualTo(lift.path("p").asDouble());
    assertThat(json.at("/rows/0/metrics/ncis/mean").isNull()).isTrue();
    assertThat(json.at("/worlds/w/headroom/oracle_over_constant/mean").asDouble()).isEqualTo(9.5);
  }
}
