package org.unifiedrl.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;
import org.unifiedrl.mtf.experiment.RunListener;

class BarsTest {

  @Test
  void withoutATerminalThereArePlainLines() {
    String text = run(false, 0);
    assertThat(text).matches("train    30/30 steps, 0 s\\R").doesNotContain("\r");
  }

  @Test
  void aLineSaysHowFastItGoesAndWhatIsLeft() {
    assertThat(Bars.line("import", 250_000, 1_000_000, "requests", 10))
        .isEqualTo("import   250,000/1,000,000 requests, 10 s, 25,000/s, 30 s left");
    assertThat(Bars.line("train", 5, 6005, "steps", 20))
        .isEqualTo("train    5/6,005 steps, 20 s, 0.25/s, 6.7 h left");
    assertThat(Bars.line("train", 100, 1000, "steps", 40)).endsWith(", 2.5/s, 6 min left");
    assertThat(Bars.line("train", 30, 30, "steps", 12)).endsWith("30/30 steps, 12 s, 2.5/s");
    assertThat(Bars.line("train", 0, 30, "steps", 12)).endsWith("0/30 steps, 12 s");
    assertThat(Bars.line("train", 3, 30, "steps", 0.2)).endsWith("3/30 steps, 0 s");
  }

  @Test
  void barsAreNoWiderThanTheTerminal() {
    for (int columns : new int[] {60, 80, 200, 0}) {
      int widest = columns == 0 ? 100 : Math.min(100, columns - 1);
      assertThat(run(true, columns).split("[\r\n]")).allMatch(line -> line.length() <= widest);
    }
  }

  private static String run(boolean terminal, int columns) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    PrintStream stream = new PrintStream(bytes, true, StandardCharsets.UTF_8);
    try (RunListener.Stage stage =
        new Bars(stream, terminal, columns).begin("train", "steps", 30)) {
      stage.at(10, "");
      stage.at(30, "");
    }
    return bytes.toString(StandardCharsets.UTF_8);
  }
}
