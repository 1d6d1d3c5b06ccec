package org.unifiedrl.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;

/**
 * docs/commands.md and docs/configuration.md are what the code says of itself.
 * -Dunifiedrl.references=write writes them.
 */
class ReferenceTest {

  private static final Path DOCS = Path.of(System.getProperty("unifiedrl.root"), "docs");
  private static final boolean WRITE = "write".equals(System.getProperty("unifiedrl.references"));

  private static void check(String page, String text) throws IOException {
    Path file = DOCS.resolve(page);
    if (WRITE) {
      Files.writeString(file, text);
    }
    assertThat(Files.readString(file))
        .as(
            "%s is not what the code says: ./mvnw -pl java/cli -am test -Dtest=ReferenceTest"
                + " -Dsurefire.failIfNoSpecifiedTests=false -Dunifiedrl.references=write",
            file)
        .isEqualTo(text);
  }

  private static void addCommands(CommandLine line, List<CommandLine> all) {
    all.add(line);
    line.getSubcommands().values().forEach(command -> addCommands(command, all));
  }

  @Test
  void everyCommandIsInTheReference() throws IOException {
    List<CommandLine> all = new ArrayList<>();
    addCommands(new CommandLine(new Main()), all);
    StringBuilder text =
        new StringBuilder(
            "# Commands\n\nWhat `--help` prints. Every command also takes `-h` and `-V`.\n");
    for (CommandLine command : all) {
      StringWriter usage = new StringWriter();
      command.setUsageHelpAutoWidth(false);
      command.setUsageHelpWidth(80);
      command.usage(new PrintWriter(usage), CommandLine.Help.Ansi.OFF);
      String name = command.getCommandSpec().qualifiedName();
      String help = usage.toString().stripTrailing().replaceAll(" +(?=\n)", "");
      text.append("\n## ").append(name).append("\n\n```\n").append(help).append("\n```\n");
    }
    assertThat(all).hasSizeGreaterThan(18);
    check("commands.md", text.toString());
  }

  @Test
  void everySettingIsInTheReference() throws IOException {
    CommandLineRun config = CommandLineRun.of("config");
    assertThat(config.code()).isZero();
    assertThat(config.out()).contains("exploration:", "half_width: 0.3");
    check(
        "configuration.md",
        "# Configuration\n\nWhat `./unifiedrl config` prints: every setting with its default and"
            + " meaning. A file with some of them is `--config FILE`, a single one `--set"
            + " KEY=VALUE`, as `--set training.steps=2000`.\n\n```yaml\n"
            + config.out().stripTrailing()
            + "\n```\n");
  }
}
