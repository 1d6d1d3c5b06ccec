package org.unifiedrl.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class JvmAccessTest {

  @Test
  void passesWhereTheTestsRun() {
    assertThatCode(JvmAccess::check).doesNotThrowAnyException();
  }

  @Test
  void namesTheMissingOption() throws IOException, InterruptedException {
    Process child =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-cp",
                System.getProperty("java.class.path"),
                WithoutOption.class.getName())
            .redirectErrorStream(true)
            .start();
    String output = new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(child.waitFor()).isEqualTo(1);
    assertThat(output).contains("start java with '" + JvmAccess.REQUIRED_OPTION + "'");
  }

  /** Child process started without the option. */
  static final class WithoutOption {
    private WithoutOption() {}

    public static void main(String[] arguments) {
      JvmAccess.check();
    }
  }
}
