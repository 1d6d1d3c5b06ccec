package org.unifiedrl.cli;

import picocli.CommandLine.Command;

@Command(
    name = "bench",
    description = "Measures the engine, algorithms and off-policy estimators.%n",
    footerHeading = "%nExamples:%n",
    footer = {
      "  unifiedrl bench step",
      "  unifiedrl bench estimators",
      "  unifiedrl bench pendulum --data pendulum-medium.npz"
    },
    synopsisSubcommandLabel = "COMMAND",
    subcommands = {
      BenchStepCommand.class,
      BenchEstimatorsCommand.class,
      BenchPendulumCommand.class
    })
final class BenchCommand {}
