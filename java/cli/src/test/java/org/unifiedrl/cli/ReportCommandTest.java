package org.unifiedrl.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What trainings leave for those who watch them, and the page of it. */
class ReportCommandTest {

  @TempDir Path temporary;

  private CommandLineRun demo(Path folder, int seed, Object... more) {
    Path config = CommandLineRun.tinyConfiguration(temporary, "steps: 60", "report: 20");
    List<Object> arguments =
        new ArrayList<>(
            List.of("demo", "--quiet", "--config", config, "--out", folder, "--seed", seed));
    arguments.addAll(List.of(more));
    CommandLineRun run = CommandLineRun.of(arguments.toArray());
    assertThat(run.code()).as(run.err()).isZero();
    return run;
  }

  @Test
  void aTrainingTellsItsPlaceInTheBoxItsRewardGroupsAndItsSpeed() throws IOException {
    Path one = temporary.resolve("one");
    demo(one, 1, "--tensorboard");
    List<JsonNode> lines = new RunFolder(one).readMetrics();
    assertThat(lines).extracting(line -> line.path("step").asInt()).containsExactly(20, 40, 60);
    for (JsonNode line : lines) {
      for (String name : new String[] {"q_mean", "q_deviation"}) {
        double mean =
            (line.path(name + "/watch_time").asDouble()
                    + line.path(name + "/behaviours").asDouble())
                / 2;
        assertThat(mean).isCloseTo(line.path(name).asDouble(), within(1e-5));
        assertThat(line.path(name + "/watch_time").asDouble())
            .isNotEqualTo(line.path(name + "/behaviours").asDouble());
      }
      assertThat(line.path("box_inside_share").asDouble()).isBetween(0.0, 1.0);
      assertThat(line.path("box_position_low/bias.like").asDouble())
          .isLessThanOrEqualTo(line.path("box_position/bias.like").asDouble());
    }
    // The policy starts at the served action, the middle of its box, and moves little in 20 steps.
    assertThat(Math.abs(lines.get(0).path("box_position/power.valid").asDouble())).isLessThan(0.2);
    for (String line : Files.readAllLines(one.resolve("resources.jsonl"))) {
      JsonNode node = Json.MAPPER.readTree(line);
      assertThat(node.path("steps_per_second").asDouble()).isPositive();
      assertThat(node.path("threads").asInt()).isEqualTo(2);
      assertThat(node.path("peak_memory_mebibytes").asDouble()).isGreaterThan(50);
    }
    try (Stream<Path> files = Files.list(one.resolve("tensorboard"))) {
      assertThat(files.toList()).hasSize(1);
    }

    Path two = temporary.resolve("two");
    demo(two, 2);
    assertThat(two.resolve("tensorboard")).doesNotExist();
    CommandLineRun report = CommandLineRun.of("report", one);
    assertThat(report.code()).as(report.err()).isZero();
    assertThat(report.out()).contains("1 run in 1 group", one.resolve("report.html").toString());
    Path page = temporary.resolve("both.html");
    Path json = temporary.resolve("both.json");
    CommandLineRun both =
        CommandLineRun.of(
            "report", one, two, "--out", page, "--title", "Two <seeds>", "--json", json);
    assertThat(both.code()).as(both.err()).isZero();
    assertThat(both.out()).contains("2 runs in 1 group");
    assertThat(Files.readString(page)).contains("<h1>Two &lt;seeds&gt;</h1>", "seeds 1, 2");
    assertThat(Json.MAPPER.readTree(json.toFile()).path("runs")).hasSize(2);
  }

  @Test
  void wrongUseOfReportWritesNothing() throws IOException {
    Path missing = temporary.resolve("missing");
    CommandLineRun none = CommandLineRun.of("report", missing);
    assertThat(none.code()).isEqualTo(2);
    assertThat(none.err()).contains(missing + ": there is no such folder");
    assertThat(missing).doesNotExist();
    assertThat(CommandLineRun.of("report").code()).isEqualTo(2);
    Path file = Files.writeString(temporary.resolve("file"), "");
    CommandLineRun under = CommandLineRun.of("report", missing, "--out", file.resolve("a.html"));
    assertThat(under.code()).isEqualTo(2);
    assertThat(under.err()).contains("--out " + file.resolve("a.html") + " cannot be used");
    CommandLineRun folder = CommandLineRun.of("report", missing, "--out", temporary);
    assertThat(folder.code()).isEqualTo(2);
    assertThat(folder.err()).contains("is a folder: give a file");
  }

  /** Whoever listens may fail: what was trained is the same as without. */
  @Test
  void aListenerThatFailsCostsAWarningAndNotTheTraining() throws IOException {
    Path log = temporary.resolve("log");
    CommandLineRun plain = demo(log, 3);
    Path folder = temporary.resolve("watched");
    CommandLineRun trained =
        CommandLineRun.of(
            "train", "--quiet", "--data", log, "--out", folder, "--set", "training.steps=20");
    assertThat(trained.code()).as(trained.err()).isZero();
    Files.writeString(folder.resolve("tensorboard"), "in the way");
    CommandLineRun resumed =
        CommandLineRun.of(
            "train",
            "--quiet",
            "--data",
            log,
            "--out",
            folder,
            "--resume",
            "--tensorboard",
            "--set",
            "training.steps=60");
    assertThat(resumed.code()).as(resumed.err()).isZero();
    assertThat(resumed.err())
        .containsOnlyOnce("unifiedrl: warning: ")
        .contains(folder.resolve("tensorboard") + " hears no more of this training (")
        .contains("a file is in the way", "training goes on");
    assertThat(Files.readAllLines(folder.resolve("metrics.jsonl"))).hasSize(3);
    assertThat(hash(folder)).isEqualTo(hash(log));
    assertThat(plain.err()).isEmpty();
  }

  private static String hash(Path folder) throws IOException {
    return Json.MAPPER
        .readTree(folder.resolve("result.json").toFile())
        .path("parameter_hash")
        .asText();
  }

  @Test
  void prometheusScrapesWhileTrainingRuns() throws IOException, InterruptedException {
    Path log = temporary.resolve("log");
    demo(log, 1);
    List<String> scrapes = new CopyOnWriteArrayList<>();
    StringWriter heard = new StringWriter();
    // The command names its address before it trains: a scrape for everything that it prints.
    PrintWriter out =
        new PrintWriter(heard) {
          @Override
          public void flush() {
            super.flush();
            Matcher address =
                Pattern.compile("http://127[.]0[.]0[.]1:[0-9]+/metrics").matcher(heard.toString());
            if (address.find()) {
              try {
                scrapes.add(scrape(address.group()));
              } catch (IOException | InterruptedException e) {
                scrapes.add("");
              }
            }
          }
        };
    int code =
        Main.run(
            out,
            new PrintWriter(new StringWriter()),
            "train",
            "--quiet",
            "--data",
            log.toString(),
            "--out",
            temporary.resolve("policy").toString(),
            "--metrics-port",
            "0");
    assertThat(code).isZero();
    assertThat(scrapes)
        .anySatisfy(
            text ->
                assertThat(text)
                    .contains(
                        "unifiedrl_training_step{part=\"all\"} 60.0",
                        "unifiedrl_training_active{part=\"all\"} 0.0",
                        "unifiedrl_training_q_mean{part=\"watch_time\"} "));
  }

  private static String scrape(String address) throws IOException, InterruptedException {
    return HttpClient.newHttpClient()
        .send(
            HttpRequest.newBuilder(URI.create(address)).build(),
            HttpResponse.BodyHandlers.ofString())
        .body();
  }

  @Test
  void aPortThatCannotBeHadIsWrongUse() throws IOException {
    Path folder = temporary.resolve("never");
    try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      CommandLineRun run =
          CommandLineRun.of("demo", "--out", folder, "--metrics-port", taken.getLocalPort());
      assertThat(run.code()).isEqualTo(2);
      assertThat(run.err())
          .contains("--metrics-port " + taken.getLocalPort() + " cannot be used", "0 for any free");
    }
    CommandLineRun run = CommandLineRun.of("demo", "--out", folder, "--metrics-port", 70_000);
    assertThat(run.code()).isEqualTo(2);
    assertThat(run.err()).contains("expected 0 (any free port) to 65535");
    assertThat(folder).doesNotExist();
  }
}
