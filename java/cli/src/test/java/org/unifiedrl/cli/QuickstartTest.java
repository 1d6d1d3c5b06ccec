package org.unifiedrl.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The commands of docs/quickstart.md and docs/import.md, run as they stand there by a shell. */
class QuickstartTest {

  private static final String SERVE = "./unifiedrl serve ";

  @TempDir Path folder;
  private DocumentationShell shell;

  @BeforeEach
  void launcher() throws IOException {
    shell = new DocumentationShell(folder);
  }

  private static List<List<String>> commands(String page) throws IOException {
    return Documentation.blocks("docs/" + page, "bash");
  }

  @Test
  void fiveCommandsGoFromALogToAService() throws Exception {
    List<List<String>> blocks = commands("quickstart.md");
    List<String> five = blocks.get(1);
    assertThat(five).hasSize(5).allMatch(command -> command.startsWith("./unifiedrl "));
    shell.run(blocks.get(0).get(0));
    for (String command : five.subList(0, 4)) {
      shell.run(command);
    }
    assertThat(Files.readString(folder.resolve("runs/report.html"))).contains("<svg");
    assertThat(folder.resolve("runs/export/actor.onnx")).isNotEmptyFile();
    assertThat(folder.resolve("runs/export/model-card.md")).content().contains("unifiedrl");
    assertThat(five.get(4)).startsWith(SERVE);
    String port;
    try (ServerSocket free = new ServerSocket(0)) {
      port = Integer.toString(free.getLocalPort()); // 8080 may be another program's
    }
    Process service = shell.start("exec " + five.get(4).replace("8080", port), "service");
    try {
      String ready = blocks.get(2).get(0).replace("8080", port);
      shell.run(ready + " --retry 60 --retry-delay 1 --retry-connrefused");
      JsonNode model = Json.MAPPER.readTree(shell.run(blocks.get(2).get(1).replace("8080", port)));
      assertThat(model.path("state_names").size()).isEqualTo(40);
      assertThat(model.path("score_names")).hasSize(5);
    } finally {
      shell.end(service, "service");
    }
    String judged = shell.run(blocks.get(3).get(0));
    assertThat(judged).contains("NCIS      baseline");
  }

  @Test
  void kuaiRandsOwnFilesAreExploredAndImported() throws Exception {
    Path data = Documentation.ROOT.resolve("../shared/data/kuairand-pure-14d");
    String named = System.getenv("UNIFIEDRL_DATA");
    if (named != null) {
      data = Path.of(named, "kuairand-pure-14d");
    }
    assumeTrue(Files.isDirectory(data), "KuaiRand's files are not in " + data.normalize());
    List<String> commands = commands("quickstart.md").get(4);
    shell.run(commands.get(0).replace("kuairand:DIR", "kuairand:" + data.normalize()));
    assertThat(shell.run(commands.get(1))).contains("Imported ");
    assertThat(folder.resolve("runs/log-kuairand/shards/train/shard-00000.arrow")).exists();
  }

  @Test
  void theCommandsOfImportWork() throws Exception {
    for (List<String> block : commands("import.md")) {
      for (String command : block) {
        shell.run(command);
      }
    }
    assertThat(folder.resolve("runs/recent/shards/train/shard-00000.arrow")).exists();
  }
}
