package org.unifiedrl.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.engine.replay.ReplaySchema;
import org.unifiedrl.kafka.TestBroker;

/** From a topic to what is trained on. */
@Timeout(value = 4, unit = TimeUnit.MINUTES)
class CollectTest {

  @TempDir static Path brokerFolder;
  private static TestBroker broker;

  @TempDir Path temporary;

  @BeforeAll
  static void startBroker() throws Exception {
    broker = TestBroker.start(brokerFolder.resolve("broker"));
  }

  @AfterAll
  static void stopBroker() {
    broker.close();
  }

  /** A request as its service would send it. */
  private static String request(int id) {
    return ("{\"id\":%d,\"member\":%d,\"at\":%d,\"age\":%d,\"p_click\":1.1,\"p_like\":0.9,"
            + "\"b_click\":0.1,\"b_like\":0.1,\"served\":[1.0,1.0,0.1,0.1],"
            + "\"low\":[0.8,0.8,0.08,0.08],\"high\":[1.2,1.2,0.125,0.125],"
            + "\"seconds\":%d.5,\"likes\":1}")
        .formatted(id, id % 7, 1_700_000_000_000L + 1000L * id, 20 + id % 50, id % 11);
  }

  /** The mapping that the documentation shows. */
  private static String mapping() throws IOException {
    return String.join("\n", Documentation.blocks("docs/kafka.md", "yaml").get(0));
  }

  private static List<String> requests(int from, int to) {
    return IntStream.range(from, to).mapToObj(CollectTest::request).toList();
  }

  private static int segments(Path folder) throws IOException {
    if (!Files.isDirectory(folder)) {
      return 0;
    }
    try (Stream<Path> files = Files.list(folder)) {
      return (int) files.filter(file -> file.toString().endsWith(".jsonl")).count();
    }
  }

  @Test
  void whatIsCollectedAndImportedIsWhatWasSent() throws Exception {
    broker.create("requests", 3);
    broker.send("requests", 0, requests(0, 100));
    Path folder = temporary.resolve("collected");
    Path output = temporary.resolve("output.txt");
    String[] command = {
      "collect",
      "--bootstrap",
      broker.bootstrap(),
      "--topic",
      "requests",
      "--out",
      folder.toString(),
      "--segment-seconds",
      "0.1"
    };
    Process process = CommandLineRun.process(output, command);
    try {
      while (segments(folder) == 0 && process.isAlive()) {
        Thread.sleep(5);
      }
      broker.send("requests", 1, requests(100, 150));
      process.destroy(); // SIGTERM
      assertThat(process.waitFor()).as(Files.readString(output)).isZero();
    } finally {
      process.destroyForcibly();
    }
    assertThat(Files.readString(output)).contains("Collected ", " rows into ");

    broker.send("requests", 2, requests(150, 200));
    List<String> rest = new ArrayList<>(List.of(command));
    rest.addAll(List.of("--until-idle", "0.5", "--json", "-"));
    CommandLineRun run = CommandLineRun.of(rest.toArray());
    assertThat(run.code()).as(run.err()).isZero();
    JsonNode result = Json.MAPPER.readTree(run.out());
    assertThat(result.get("rows").intValue()).isBetween(50, 100);
    assertThat(result.get("lag").intValue()).isZero();

    Path mapping = Files.writeString(temporary.resolve("mapping.yaml"), mapping());
    Path log = temporary.resolve("log");
    CommandLineRun imported =
        CommandLineRun.of(
            "import",
            folder + "/*.jsonl",
            "--mapping",
            mapping,
            "--held-out",
            "0",
            "--quiet",
            "--out",
            log);
    assertThat(imported.code()).as(imported.err()).isZero();
    List<String> expected = new ArrayList<>();
    for (String request : requests(0, 200)) {
      JsonNode sent = Json.MAPPER.readTree(request);
      expected.add(
          row(
              sent.get("member").longValue(),
              sent.get("at").longValue(),
              sent.get("age").floatValue(),
              sent.get("seconds").floatValue()));
    }
    List<String> found = new ArrayList<>();
    try (Replay replay = Replay.open(new RunFolder(log).train())) {
      for (long i = 0; i < replay.rows(); i++) {
        found.add(
            row(
                replay.userId(i),
                replay.timestamp(i),
                value(replay, i, ReplaySchema.STATE),
                value(replay, i, ReplaySchema.REWARD)));
      }
    }
    assertThat(found).containsExactlyInAnyOrderElementsOf(expected);
  }

  /** As they stand, but for the broker's address, the wait and the steps of training. */
  @Test
  void theCommandsOfThePageWork() throws Exception {
    List<String> commands = new ArrayList<>();
    for (String command : Documentation.commands("docs/kafka.md")) {
      commands.add(
          command
              .replace("kafka:9092", broker.bootstrap())
              .replace("--topic requests", "--topic documented")
              .replace("--until-idle 10", "--until-idle 1"));
    }
    assertThat(commands).hasSize(4);
    broker.create("documented", 2);
    broker.send("documented", 0, requests(0, 300));
    DocumentationShell shell = new DocumentationShell(temporary);
    Process collector = shell.start("exec " + commands.get(0), "collector");
    try {
      Path written = temporary.resolve("logs/requests/.documented-0.jsonl.tmp");
      while (!Files.exists(written) && collector.isAlive()) {
        Thread.sleep(20);
      }
      shell.end(collector, "collector");
    } finally {
      collector.destroyForcibly();
    }
    broker.send("documented", 1, requests(300, 400));
    assertThat(shell.run(commands.get(1))).contains("Collected ");
    Files.writeString(temporary.resolve("mapping.yaml"), mapping());
    assertThat(shell.run(commands.get(2))).contains("Imported ");
    shell.run(commands.get(3) + " --set training.steps=20 --set training.critics_per_group=2");
    assertThat(temporary.resolve("runs/policy/result.json")).exists();
  }

  private static String row(long user, long at, float age, float seconds) {
    return user + " at " + at + ": " + age + ", " + seconds;
  }

  private static float value(Replay replay, long row, String column) {
    int index = replay.schema().columnIndex(column);
    float[] values = new float[replay.schema().columns().get(index).width()];
    replay.get(row, index, values, 0);
    return values[0];
  }

  @Test
  void whatCannotBeCollectedExitsWith2() throws Exception {
    broker.create("bad", 1);
    broker.send("bad", 0, List.of(request(0), "no JSON"));
    Path folder = temporary.resolve("bad");
    CommandLineRun run = collect(folder, "--topic", "bad");
    assertThat(run.code()).isEqualTo(2);
    assertThat(run.err()).contains("bad-0, offset 1", "it is not JSON").doesNotContain("\tat ");
    assertThat(segments(folder)).isEqualTo(1);
    Path quarantine = temporary.resolve("aside.jsonl");
    run = collect(folder, "--topic", "bad", "--until-idle", "0.2", "--quarantine", quarantine);
    assertThat(run.code()).as(run.err()).isZero();
    assertThat(run.out()).contains("Set aside 1 messages: " + quarantine);

    assertThat(collect(folder, "--topic", "none").err()).contains("there is no topic 'none'");
    assertThat(collect(folder, "--topic", "bad", "--segment-rows", "0").code()).isEqualTo(2);
    assertThat(collect(folder, "--topic", "bad", "--max-rows", "0").err()).contains("--max-rows");
    assertThat(collect(folder, "--topic", "bad", "--until-idle", "-1").err())
        .contains("--until-idle");
    Path missing = temporary.resolve("missing.properties");
    assertThat(collect(folder, "--topic", "bad", "--properties", missing).err())
        .contains("cannot read --properties " + missing);
    Path automatic =
        Files.writeString(temporary.resolve("client.properties"), "enable.auto.commit=true\n");
    assertThat(collect(folder, "--topic", "bad", "--properties", automatic).err())
        .contains("property enable.auto.commit is 'true'");
  }

  private static CommandLineRun collect(Path folder, Object... more) {
    List<Object> command = new ArrayList<>();
    command.addAll(List.of("collect", "--bootstrap", broker.bootstrap(), "--out", folder));
    command.addAll(List.of(more));
    return CommandLineRun.of(command.toArray());
  }
}
