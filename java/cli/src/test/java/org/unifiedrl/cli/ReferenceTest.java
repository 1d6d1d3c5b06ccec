package org.unifiedrl.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;

/**
 * docs/commands.md and docs/configuration.md are what the code says of itself;
 * -Dunifiedrl.references=write writes them.
 */
class ReferenceTest {

  private static final boolean WRITE = "write".equals(System.getProperty("unifiedrl.references"));

  private static void check(String page, String text) throws IOException {
    Path file = Documentation.ROOT.resolve(page);
    if (WRITE) {
      Files.writeString(file, text);
    }
    assertThat(Files.readString(file))
        .as(
            "%s is not what the code says; this writes it: ./mvnw -pl java/cli -am test"
                + " -Dtest=ReferenceTest -Dsurefire.failIfNoSpecifiedTests=false"
                + " -Dunifiedrl.references=write",
            page)
        .isEqualTo(text);
  }

  private static void addCommands(CommandLine line, List<CommandLine> all) {
    all.add(line);
    // A command that has an alias is there under both names.
    new LinkedHashSet<>(line.getSubcommands().values())
        .forEach(command -> addCommands(command, all));
  }

  @Test
  void everyCommandIsInTheReference() throws IOException {
    List<CommandLine> all = new ArrayList<>();
    addCommands(Main.commandLine(), all);
    StringBuilder text =
        new StringBuilder(
            """
            # Commands

            What `--help` prints, by `ReferenceTest`. The launcher, `./unifiedrl`, takes the same commands; settings are those of [`configuration.md`](configuration.md).

            """);
    StringBuilder sections = new StringBuilder();
    for (CommandLine command : all) {
      StringWriter usage = new StringWriter();
      // As wide as it is where there is no terminal.
      command.setUsageHelpAutoWidth(false);
      command.setUsageHelpWidth(80);
      command.usage(new PrintWriter(usage), CommandLine.Help.Ansi.OFF);
      String name = command.getCommandSpec().qualifiedName();
      String help = usage.toString().stripTrailing().replaceAll(" +(?=\\R)", "");
      String anchor = name.replace(' ', '-');
      text.append(text.toString().endsWith("\n") ? "" : " · ");
      text.append("[").append(name).append("](#").append(anchor).append(")");
      sections.append("\n## ").append(name).append("\n\n```\n").append(help).append("\n```\n");
    }
    assertThat(sections).contains("## unifiedrl bench pendulum", "Usage: unifiedrl train", "--set");
    check("docs/commands.md", text + "\n" + sections);
  }

  @Test
  void everySettingIsInTheReference() throws IOException {
    CommandLineRun config = CommandLineRun.of("config");
    assertThat(config.code()).isZero();
    assertThat(config.out()).contains("exploration:", "  half_width: 0.3 ", "threads: 0 ");
    check(
        "docs/configuration.md",
        """
        # Configuration

        What `./unifiedrl config` prints: every setting with its default and meaning, the paper's symbol in parentheses. Where each stands in the
        equations says [`concepts.md`](concepts.md), what an algorithm's own settings do [`algorithms.md`](algorithms.md). A value comes from the last of these that has it: this table, the run that is continued, a
        YAML file (`--config FILE`, with any part of this table), a single setting (`--set training.steps=2000`; lists as `--set "training.hidden=[128, 128]"`), an option of its own (`--seed`,
        `--backend`, `--threads`, ...). Unknown keys are refused with the nearest one that there is. `config.yaml` in a run folder holds what a run ran with.

        ```yaml
        %s
        ```
        """
            .formatted(config.out().stripTrailing()));
  }
}
