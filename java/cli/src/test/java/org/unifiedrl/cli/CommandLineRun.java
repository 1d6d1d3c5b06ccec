package org.unifiedrl.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** One run of the command line within this JVM. */
record CommandLineRun(int code, String out, String err) {

  static CommandLineRun of(Object... arguments) {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    String[] texts = new String[arguments.length];
    for (int i = 0; i < texts.length; i++) {
      texts[i] = arguments[i].toString();
    }
    int code = Main.run(new PrintWriter(out), new PrintWriter(err), texts);
    return new CommandLineRun(code, out.toString(), err.toString());
  }

  /**
   * One run of the command line in a JVM of its own, which may be killed.
   *
   * @param output receives what it prints, after what is there
   */
  static Process process(Path output, String... arguments) throws IOException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of("--add-opens", "java.base/jdk.internal.misc=ALL-UNNAMED"));
    command.addAll(List.of("--add-opens", "java.base/java.nio=ALL-UNNAMED"));
    command.addAll(List.of("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"));
    command.addAll(List.of("-cp", System.getProperty("java.class.path")));
    command.add("org.unifiedrl.cli.Main");
    command.addAll(List.of(arguments));
    ProcessBuilder builder = new ProcessBuilder(command);
    builder.redirectErrorStream(true);
    builder.redirectOutput(ProcessBuilder.Redirect.appendTo(output.toFile()));
    return builder.start();
  }

  /** A configuration whose whole loop takes seconds; {@code training} adds lines to that group. */
  static Path tinyConfiguration(Path folder, String... training) {
    StringBuilder text =
        new StringBuilder(
            """
            threads: 2
            baseline:
              kind: equal
            simulator:
              train_users: 1200
            exploration:
              users: 300
              held_out_users: 300
              lanes: 16
            evaluation:
              users: 200
              resamples: 100
              lanes: 16
              bandwidth: 0.2
              headroom: false
            training:
              batch: 16
              hidden: [8, 8]
              critics_per_group: 2
            """);
    for (String line : training) {
      text.append("  ").append(line).append('\n');
    }
    try {
      return Files.writeString(folder.resolve("tiny.yaml"), text);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
