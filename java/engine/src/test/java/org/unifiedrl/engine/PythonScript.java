package org.unifiedrl.engine;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Assumptions;

/**
 * Runs Python scripts of tests, by {@code UNIFIEDRL_PYTHON}, the environment that the build made,
 * or {@code python3}.
 */
public final class PythonScript {

  private static final int NO_PACKAGE = 77;

  private PythonScript() {}

  /**
   * Runs a script to its end, without an error; skips the test where Python or the package is
   * missing.
   *
   * @param imports a line that fails where the package is missing
   */
  public static void run(String imports, String script, Path... arguments)
      throws InterruptedException {
    List<String> command = new ArrayList<>(List.of(python(), "-c"));
    command.add(
        "import sys\ntry:\n    %s\nexcept ImportError:\n    sys.exit(%d)\n%s"
            .formatted(imports, NO_PACKAGE, script));
    for (Path argument : arguments) {
      command.add(argument.toString());
    }
    int status;
    try {
      Process process = new ProcessBuilder(command).inheritIO().start();
      assertThat(process.waitFor(5, TimeUnit.MINUTES)).isTrue();
      status = process.exitValue();
    } catch (IOException e) {
      status = NO_PACKAGE;
    }
    Assumptions.assumeTrue(
        status != NO_PACKAGE, "skipped: " + command.get(0) + " cannot '" + imports + "'");
    assertThat(status).isZero();
  }

  private static String python() {
    String chosen = System.getenv("UNIFIEDRL_PYTHON");
    if (chosen != null && !chosen.isEmpty()) {
      return chosen;
    }
    Path made = Path.of(System.getProperty("unifiedrl.python", "target/python"), "bin", "python3");
    return Files.isExecutable(made) ? made.toString() : "python3";
  }
}
