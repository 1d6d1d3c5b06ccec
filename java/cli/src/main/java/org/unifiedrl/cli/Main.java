package org.unifiedrl.cli;

import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.util.List;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IExecutionExceptionHandler;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ScopeType;

/** Entry point. Exit codes: 0 done, 1 failed, 2 wrong use. */
@Command(
    name = "unifiedrl",
    description = {
      "Learns the weights with which a recommender fuses its predicted scores, from logged"
          + " exploration, and judges them.%n"
    },
    synopsisSubcommandLabel = "COMMAND",
    scope = ScopeType.INHERIT,
    mixinStandardHelpOptions = true,
    versionProvider = Main.Version.class,
    sortOptions = false,
    usageHelpAutoWidth = true,
    exitCodeListHeading = "%nExit codes:%n",
    footerHeading = "%nThe launcher:%n",
    footer = {
      "  ./unifiedrl setup        checks for what a build needs, and installs it",
      "                           (Debian, Ubuntu, as root) or says how",
      "  ./unifiedrl setup --cuda also has later builds make the CUDA back end, with nvcc",
      "  ./unifiedrl setup --tests also installs what only the tests need: chromium",
      "  ./unifiedrl build        builds now; other commands build when sources are",
      "                           newer",
      "  UNIFIEDRL_JAVA_OPTIONS   options for the JVM, such as -Xmx8g"
    },
    exitCodeList = {"0:done", "1:failed", "2:wrong use"})
public final class Main {

  private static final List<Class<?>> COMMANDS =
      List.of(
          DemoCommand.class,
          ProgressiveCommand.class,
          ExploreCommand.class,
          ExampleCommand.class,
          CollectCommand.class,
          ImportCommand.class,
          TrainCommand.class,
          EvaluateCommand.class,
          CompareCommand.class,
          ServeCommand.class,
          ExperimentCommand.class,
          SweepCommand.class,
          ReportCommand.class,
          ExportCommand.class,
          InspectCommand.class,
          ConfigCommand.class,
          DoctorCommand.class,
          BenchCommand.class);

  private Main() {}

  /** Runs a command and exits with its code. */
  public static void main(String[] arguments) {
    int code =
        run(
            new PrintWriter(System.out, true, StandardCharsets.UTF_8),
            new PrintWriter(System.err, true, StandardCharsets.UTF_8),
            arguments);
    GracefulStop.exit(code);
  }

  /** Runs a command; returns the exit code. */
  static int run(PrintWriter out, PrintWriter err, String... arguments) {
    CommandLine line =
        commandLine(arguments).setOut(out).setErr(err).setExecutionExceptionHandler(handler());
    if (arguments.length == 0) {
      line.usage(err);
      return CommandLine.ExitCode.USAGE;
    }
    int code;
    try {
      code = line.execute(arguments);
    } catch (Error e) {
      code = failed(e, err, List.of(arguments).contains("--verbose"));
    }
    out.flush();
    err.flush();
    return code;
  }

  /** All commands and their options. */
  static CommandLine commandLine() {
    CommandLine line = new CommandLine(new Main());
    COMMANDS.forEach(line::addSubcommand);
    return line.setCaseInsensitiveEnumValuesAllowed(true);
  }

  /**
   * The commands as far as these arguments need them: the one that is called, or names and
   * descriptions of all. Finding the options of all takes half of a start.
   */
  private static CommandLine commandLine(String... arguments) {
    List<String> words = List.of(arguments);
    List<Class<?>> called =
        COMMANDS.stream().filter(each -> words.contains(annotation(each).name())).toList();
    CommandLine line = new CommandLine(new Main());
    if (called.isEmpty()) {
      for (Class<?> each : COMMANDS) {
        CommandSpec spec = CommandSpec.create().name(annotation(each).name());
        spec.usageMessage().description(annotation(each).description());
        line.addSubcommand(spec);
      }
    } else {
      called.forEach(line::addSubcommand);
    }
    return line.setCaseInsensitiveEnumValuesAllowed(true);
  }

  private static Command annotation(Class<?> command) {
    return command.getAnnotation(Command.class);
  }

  private static IExecutionExceptionHandler handler() {
    return (exception, line, parsed) -> {
      boolean verbose = parsed.hasMatchedOption("--verbose") || hasVerbose(parsed);
      return failed(exception, line.getErr(), verbose);
    };
  }

  /** Says what went wrong; returns the exit code. */
  private static int failed(Throwable failure, PrintWriter err, boolean verbose) {
    String advice =
        failure instanceof OutOfMemoryError
            ? "; give it more memory, as UNIFIEDRL_JAVA_OPTIONS=-Xmx8g unifiedrl ..."
            : "";
    err.println("unifiedrl: " + FileErrors.message(failure) + advice);
    if (verbose) {
      failure.printStackTrace(err);
    } else if (!(failure instanceof UsageException)) {
      err.println("(--verbose prints the stack trace)");
    }
    return failure instanceof UsageException
        ? CommandLine.ExitCode.USAGE
        : CommandLine.ExitCode.SOFTWARE;
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
