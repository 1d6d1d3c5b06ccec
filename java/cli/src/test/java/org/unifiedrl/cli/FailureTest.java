package org.unifiedrl.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import org.junit.jupiter.api.Test;

/** Errors of the JVM, not only exceptions, end a command with a message. */
class FailureTest {

  @Test
  void errorsPrintNoStackTraceUnlessAskedTo() {
    Error error = new UnsatisfiedLinkError("no libengine.so here");
    StringWriter err = new StringWriter();
    assertThat(run(error, err, "config")).isEqualTo(1);
    assertThat(err.toString())
        .startsWith("unifiedrl: no libengine.so here")
        .contains("--verbose")
        .doesNotContain("\tat ");
    err = new StringWriter();
    assertThat(run(error, err, "config", "--verbose")).isEqualTo(1);
    assertThat(err.toString()).contains("no libengine.so here", "\tat ");
  }

  @Test
  void tooLittleMemoryNamesTheOptionThatGivesMore() {
    StringWriter err = new StringWriter();
    assertThat(run(new OutOfMemoryError("Java heap space"), err, "config")).isEqualTo(1);
    assertThat(err.toString()).contains("Java heap space", "UNIFIEDRL_JAVA_OPTIONS=-Xmx");
  }

  private static int run(Error error, StringWriter err, String... arguments) {
    PrintWriter out =
        new PrintWriter(new StringWriter()) {
          @Override
          public void print(String text) {
            throw error;
          }
        };
    return Main.run(out, new PrintWriter(err), arguments);
  }
}
