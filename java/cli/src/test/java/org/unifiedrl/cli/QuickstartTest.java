package org.unifiedrl.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The commands of docs/quickstart.md and docs/import.md, run as they stand there by a shell. */
class QuickstartTest {

  private static final Path DOCS = Path.of(System.getProperty("unifiedrl.root"), "docs");
  private static final String SERVE = "./unifiedrl serve ";

  @TempDir Path folder;

  /** What the launcher is after its build. */
  @BeforeEach
  void launcher() throws IOException {
    Path launcher = folder.resolve("unifiedrl");
    Files.writeString(
        launcher,
        """
        #!/bin/bash
        exec '%s/bin/java' --add-opens java.base/jdk.internal.misc=ALL-UNNAMED \\
          --add-opens java.base/java.nio=ALL-UNNAMED -XX:+UseSerialGC -Djava.awt.headless=true \\
          -cp '%s' org.unifiedrl.cli.Main "$@"
        """
            .formatted(System.getProperty("java.home"), System.getProperty("java.class.path")));
    Files.setPosixFilePermissions(launcher, PosixFilePermissions.fromString("rwxr-xr-x"));
  }

  /** Commands of the shell, block by block. */
  private static List<List<String>> commands(String page) throws IOException {
    Matcher block =
        Pattern.compile("^```bash\\n(.*?)^```", Pattern.DOTALL | Pattern.MULTILINE)
            .matcher(Files.readString(DOCS.resolve(page)));
    List<List<String>> blocks = new ArrayList<>();
    while (block.find()) {
      blocks.add(block.group(1).lines().toList());
    }
    return blocks;
  }

  private Process start(String command) throws IOException {
    return new ProcessBuilder("/bin/bash", "-c", command)
        .directory(folder.toFile())
        .redirectErrorStream(true)
        .redirectOutput(ProcessBuilder.Redirect.to(folder.resolve("output").toFile()))
        .start();
  }

  private String run(String command) throws Exception {
    Process process = start(command);
    assertThat(process.waitFor(10, TimeUnit.MINUTES)).as(command).isTrue();
    String output = Files.readString(folder.resolve("output"));
    assertThat(process.exitValue()).as(command + "\n" + output).isZero();
    return output;
  }

  @Test
  void fiveCommandsGoFromALogToAService() throws Exception {
    List<List<String>> blocks = commands("quickstart.md");
    List<String> five = blocks.get(1);
    assertThat(five).hasSize(5).allMatch(command -> command.startsWith("./unifiedrl "));
    run(blocks.get(0).get(0));
    for (String command : five.subList(0, 4)) {
      run(command);
    }
    assertThat(Files.readString(folder.resolve("runs/report.html"))).contains("<svg");
    assertThat(folder.resolve("runs/export/actor.onnx")).isNotEmptyFile();
    assertThat(folder.resolve("runs/export/model-card.md")).content().contains("unifiedrl");
    assertThat(five.get(4)).startsWith(SERVE);
    String port;
    try (ServerSocket free = new ServerSocket(0)) {
      port = Integer.toString(free.getLocalPort()); // 8080 may be another program's
    }
    Process service = start("exec " + five.get(4).replace("8080", port));
    try {
      String ready = blocks.get(2).get(0).replace("8080", port);
      run(ready + " --retry 60 --retry-delay 1 --retry-connrefused");
      JsonNode model = Json.MAPPER.readTree(run(blocks.get(2).get(1).replace("8080", port)));
      assertThat(model.path("state_names").size()).isEqualTo(40);
      assertThat(model.path("score_names")).hasSize(5);
    } finally {
      service.destroy();
      assertThat(service.waitFor(60, TimeUnit.SECONDS)).isTrue();
    }
    String judged = run(blocks.get(3).get(0));
    assertThat(judged).contains("NCIS      baseline");
  }

  @Test
  void kuaiRandsOwnFilesAreExploredAndImported() throws Exception {
    Path data = DOCS.resolve("../../shared/data/kuairand-pure-14d");
    String named = System.getenv("UNIFIEDRL_DATA");
    if (named != null) {
      data = Path.of(named, "kuairand-pure-14d");
    }
    assumeTrue(Files.isDirectory(data), "KuaiRand's files are not in " + data.normalize());
    List<String> commands = commands("quickstart.md").get(4);
    run(commands.get(0).replace("kuairand:DIR", "kuairand:" + data.normalize()));
    assertThat(run(commands.get(1))).contains("Imported ");
    assertThat(folder.resolve("runs/log-kuairand/shards/train/shard-00000.arrow")).exists();
  }

  @Test
  void theCommandsOfImportWork() throws Exception {
    for (List<String> block : commands("import.md")) {
      for (String command : block) {
        run(command);
      }
    }
    assertThat(folder.resolve("runs/recent/shards/train/shard-00000.arrow")).exists();
  }
}
