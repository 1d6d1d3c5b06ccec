package org.unifiedrl.cli;

import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IExecutionExceptionHandler;
import picocli.CommandLine.ScopeType;

/** Entry point. Exit codes: 0 done, 1 failed, 2 wrong use. */
@Command(
    name = "unifiedrl",
    description = {
      "Learns the weights with which a recommender fuses its predicted scores, from logged",
      "exploration, and judges them.%n"
    },
    synopsisSubcommandLabel = "COMMAND",
    scope = ScopeType.INHERIT,
    mixinStandardHelpOptions = true,
    versionProvider = Main.Version.class,
    sortOptions = false,
    usageHelpAutoWidth = true,
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {"0:done", "1:failed", "2:wrong use"},
    subcommands = {
      DemoCommand.class,
      ExploreCommand.class,
      TrainCommand.class,
      EvaluateCommand.class,
      CompareCommand.class,
      InspectCommand.class,
      DoctorCommand.class,
      BenchCommand.class
    })
public final class Main {

  private Main() {}

  /** Runs a command and exits with its code. */
  public static void main(String[] arguments) {
    int code =
        run(
            new PrintWriter(System.out, true, StandardCharsets.UTF_8),
            new PrintWriter(System.err, true, StandardCharsets.UTF_8),
            arguments);
    System.exit(code);
  }

  /** Runs a command; returns the exit code. */
  static int run(PrintWriter out, PrintWriter err, String... arguments) {
    CommandLine line =
        new CommandLine(new Main())
            .setOut(out)
            .setErr(err)
            .setCaseInsensitiveEnumValuesAllowed(true)
            .setExecutionExceptionHandler(handler());
    if (arguments.length == 0) {
      line.usage(err);
      return CommandLine.ExitCode.USAGE;
    }
    int code = line.execute(arguments);
    out.flush();
    err.flush();
    return code;
  }

  private static IExecutionExceptionHandler handler() {
    return (exception, line, parsed) -> {
      boolean verbose = parsed.hasMatchedOption("--verbose") || hasVerbose(parsed);
      PrintWriter err = line.getErr();
      String message = exception.getMessage();
      err.println("unifiedrl: " + (message == null ? exception.toString() : message));
      if (verbose) {
        exception.printStackTrace(err);
      } else if (!(exception instanceof UsageException)) {
        err.println("(--verbose prints the stack trace)");
      }
      return exception instanceof UsageException
          ? CommandLine.ExitCode.USAGE
          : CommandLine.ExitCode.SOFTWARE;
    };
  }

  private static boolean hasVerbose(CommandLine.ParseResult parsed) {
    return parsed.hasSubcommand()
        && (parsed.subcommand().hasMatchedOption("--verbose") || hasVerbose(parsed.subcommand()));
  }

  /** The version of this build, from the jar's manifest. */
  static final class Version implements CommandLine.IVersionProvider {
    @Override
    public String[] getVersion() {
      return new String[] {"unifiedrl " + version()};
    }
  }

  /** Version of this build; "development" when it does not run from a jar. */
  static String version() {
    String version = Main.class.getPackage().getImplementationVersion();
    return version == null ? "development" : version;
  }
}
