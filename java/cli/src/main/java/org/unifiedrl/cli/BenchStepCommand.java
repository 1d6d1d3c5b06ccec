package org.unifiedrl.cli;

import picocli.CommandLine.Command;

@Command(name = "step")
final class BenchStepCommand {}
