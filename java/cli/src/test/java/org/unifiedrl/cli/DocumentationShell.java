package org.unifiedrl.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.concurrent.TimeUnit;

/** A folder in which commands of the documentation run as they stand, with a launcher in it. */
final class DocumentationShell {

  private final Path folder;

  /** Makes what the launcher is after its build, but for what makes short runs shorter. */
  DocumentationShell(Path folder) throws IOException {
    this.folder = folder;
    launcher(
        """
        #!/bin/bash
        exec '%s/bin/java' --add-opens java.base/jdk.internal.misc=ALL-UNNAMED \\
          --add-opens java.base/java.nio=ALL-UNNAMED -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \\
          -Djava.awt.headless=true -cp '%s' org.unifiedrl.cli.Main "$@"
        """
            .formatted(System.getProperty("java.home"), System.getProperty("java.class.path")));
  }

  /** Puts another program in the launcher's place. */
  void launcher(String script) throws IOException {
    Path launcher = folder.resolve("unifiedrl");
    Files.writeString(launcher, script);
    Files.setPosixFilePermissions(launcher, PosixFilePermissions.fromString("rwxr-xr-x"));
  }

  Path folder() {
    return folder;
  }

  /** Starts a command, which {@link #end} ends. */
  Process start(String command, String output) throws IOException {
    return new ProcessBuilder("/bin/bash", "-c", command)
        .directory(folder.toFile())
        .redirectErrorStream(true)
        .redirectOutput(folder.resolve(output).toFile())
        .start();
  }

  /** Runs a command, which must succeed; returns what it prints. */
  String run(String command) throws Exception {
    Process process = start(command, "output");
    assertThat(process.waitFor(10, TimeUnit.MINUTES)).as(command).isTrue();
    String output = Files.readString(folder.resolve("output"));
    assertThat(process.exitValue()).as(command + "\n" + output).isZero();
    return output;
  }

  /** Ends a command by SIGTERM, at which it must end well. */
  void end(Process process, String output) throws Exception {
    process.destroy();
    assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
    assertThat(process.exitValue()).as(Files.readString(folder.resolve(output))).isZero();
  }
}
