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
