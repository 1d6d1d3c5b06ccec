package org.unifiedrl.cli;

import picocli.CommandLine.Command;

@Command(
    name = "bench",
    description = "Measures the engine.%n",
    synopsisSubcommandLabel = "COMMAND",
    subcommands = BenchStepCommand.class)
final class BenchCommand {}
