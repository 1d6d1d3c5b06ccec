package org.unifiedrl.cli;

import picocli.CommandLine.Command;

@Command(
    name = "bench",
    description = "Measures the engine.%n",
    footerHeading = "%nExamples:%n",
    footer = "  unifiedrl bench step",
    synopsisSubcommandLabel = "COMMAND",
    subcommands = BenchStepCommand.class)
final class BenchCommand {}
