package org.unifiedrl.cli;

import picocli.CommandLine.Command;

@Command(
    name = "bench",
    description = "Measures the engine, and off-policy estimators.%n",
    footerHeading = "%nExamples:%n",
    footer = {"  unifiedrl bench step", "  unifiedrl bench estimators"},
    synopsisSubcommandLabel = "COMMAND",
    subcommands = {BenchStepCommand.class, BenchEstimatorsCommand.class})
final class BenchCommand {}
