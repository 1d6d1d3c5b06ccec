package org.unifiedrl.cli;

import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
    name = "serve",
    description = {
      "Ranks over HTTP by a trained policy, until it is ended (SIGTERM, Ctrl-C): requests in flight"
          + " are then answered and the log is closed. It listens on this machine only unless --host"
          + " says otherwise, and asks nobody who he is.%n"
    },
    footerHeading = "%nExamples:%n",
    footer = {
      "  unifiedrl serve --model runs/policy",
      "  unifiedrl serve --model policy.safetensors --port 9000 --poll 2",
      "  unifiedrl serve --model runs/policy --explore --log runs/served --seed 7"
    })
final class ServeCommand implements Callable<Integer> {

  @Option(
      names = "--model",
      paramLabel = "PATH",
      required = true,
      description =
          "Policy: a policy.safetensors, a folder that holds one, or the run folder of train, demo"
              + " or progressive.")
  Path model;

  @Option(
      names = "--host",
      paramLabel = "ADDRESS",
      defaultValue = "127.0.0.1",
      description = "Address to listen on; 0.0.0.0 for all (default: ${DEFAULT-VALUE}).")
  String host;

  @Option(
      names = "--port",
      paramLabel = "N",
      defaultValue = "8080",
      description = "Port; 0 for any that is free (default: ${DEFAULT-VALUE}).")
  int port;

  @Option(
      names = "--threads",
      paramLabel = "N",
      defaultValue = "8",
      description =
          "Requests that are worked on at once; further ones get 503 (default: ${DEFAULT-VALUE}).")
  int threads;

  @Option(
      names = "--max-body",
      paramLabel = "BYTES",
      defaultValue = "4194304",
      description = "Largest body of a request (default: ${DEFAULT-VALUE}).")
  int maxBody;

  @Option(
      names = "--max-candidates",
      paramLabel = "N",
      defaultValue = "10000",
      description = "Most candidates of a request (default: ${DEFAULT-VALUE}).")
  int maxCandidates;

  @Option(
      names = "--max-header",
      paramLabel = "BYTES",
      defaultValue = "8192",
      description = "Largest head of a request (default: ${DEFAULT-VALUE}).")
  int maxHeader;

  @Option(
      names = "--request-timeout",
      paramLabel = "SECONDS",
      defaultValue = "2",
      description = "Time in which a body has to arrive (default: ${DEFAULT-VALUE}).")
  double requestTimeout;

  @Option(
      names = "--idle-timeout",
      paramLabel = "SECONDS",
      defaultValue = "30",
      description = "Longest silence on a connection (default: ${DEFAULT-VALUE}).")
  double idleTimeout;

  @Option(
      names = "--drain-timeout",
      paramLabel = "SECONDS",
      defaultValue = "10",
      description = "Longest wait for requests in flight at the end (default: ${DEFAULT-VALUE}).")
  double drainTimeout;

  @Option(
      names = "--poll",
      paramLabel = "SECONDS",
      defaultValue = "5",
      description =
          "Time between two looks at the model's file, 0 for none; a run folder is looked at only"
              + " when POST /v1/model/reload asks for it (default: ${DEFAULT-VALUE}).")
  double poll;

  @Option(
      names = "--explore",
      description = "Explore in the model's box, unless a request says 'explore: false'.")
  boolean explore;

  @Option(
      names = "--seed",
      paramLabel = "N",
      defaultValue = "0",
      description =
          "Key of exploration: with a request's id it decides the action (default:"
              + " ${DEFAULT-VALUE}).")
  long seed;

  @Option(
      names = "--log",
      paramLabel = "DIR",
      description = "Log explored requests there, as Arrow shards (default: no log).")
  Path log;

  @Mixin ReportOptions common;

  @Override
  public Integer call() {
    common.check();
    return Serving.run(this);
  }
}
