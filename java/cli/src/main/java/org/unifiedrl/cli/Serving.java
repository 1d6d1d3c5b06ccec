package org.unifiedrl.cli;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.function.BooleanSupplier;
import org.unifiedrl.engine.checkpoint.CheckpointException;
import org.unifiedrl.engine.replay.ReplayException;
import org.unifiedrl.mtf.experiment.ExperimentConfig;
import org.unifiedrl.mtf.experiment.TrainedPolicy;
import org.unifiedrl.mtf.serving.FusionPolicy;
import org.unifiedrl.mtf.serving.PolicyModel;
import org.unifiedrl.mtf.serving.ServingLog;
import org.unifiedrl.mtf.session.Environment;
import org.unifiedrl.serve.RankServer;
import org.unifiedrl.serve.ServeOptions;

/** The service behind {@code serve}, apart from the command so that --help loads none of it. */
final class Serving {

  /**
   * A policy and how it is renewed.
   *
   * @param reload looks for another model and serves it
   * @param cheap whether looking costs next to nothing when there is none
   */
  private record Source(FusionPolicy policy, BooleanSupplier reload, boolean cheap) {}

  private Serving() {}

  @SuppressWarnings("try") // the stop is there for its closing
  static int run(ServeCommand command) {
    // Before the server's first line of log: what it starts and stops is not the reader's concern.
    System.setProperty("org.slf4j.simpleLogger.log.org.eclipse.jetty", "warn");
    ServeOptions asked = options(command);
    Source source = source(command.model);
    FusionPolicy policy = source.policy();
    requireExplorable(command, policy.model());
    ServeOptions options = source.cheap() ? asked : withoutPolling(asked);
    Service service = start(command, source, options);
    try (GracefulStop stop = new GracefulStop(service.server()::close)) {
      announce(command, policy.model(), service.server());
      service.server().join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } finally {
      service.close();
    }
    return 0;
  }

  /**
   * A service and its log, if it has one.
   *
   * @param log null for none
   */
  private record Service(RankServer server, ServingLog log) {
    /** Requests first, so that all of them are in the log. */
    void close() {
      server.close();
      if (log != null) {
        log.close();
      }
    }
  }

  private static Service start(ServeCommand command, Source source, ServeOptions options) {
    ServingLog log = null;
    try {
      log = command.log == null ? null : ServingLog.open(command.log, source.policy());
    } catch (ReplayException | IllegalArgumentException e) {
      throw new UsageException("--log " + command.log + ": " + e.getMessage(), e);
    }
    try {
      return new Service(RankServer.start(source.policy(), log, source.reload(), options), log);
    } catch (UncheckedIOException e) { // the port is taken, or the address is not this machine's
      if (log != null) {
        log.close();
      }
      throw new UsageException(e.getMessage(), e);
    }
  }

  private static ServeOptions options(ServeCommand c) {
    try {
      return new ServeOptions(
          c.host,
          c.port,
          c.threads,
          c.maxBody,
          c.maxCandidates,
          c.maxHeader,
          seconds(c.requestTimeout),
          seconds(c.idleTimeout),
          seconds(c.drainTimeout),
          seconds(c.poll),
          c.explore,
          c.seed);
    } catch (IllegalArgumentException e) {
      throw new UsageException("--" + e.getMessage(), e);
    }
  }

  private static Duration seconds(double seconds) {
    // What is no number or beyond all limits is refused by its option.
    return Duration.ofNanos(Math.round(1e9 * Math.max(-1, Math.min(1e9, seconds))));
  }

  private static ServeOptions withoutPolling(ServeOptions o) {
    return new ServeOptions(
        o.host(),
        o.port(),
        o.threads(),
        o.maxBody(),
        o.maxCandidates(),
        o.maxHeader(),
        o.requestTimeout(),
        o.idleTimeout(),
        o.drainTimeout(),
        Duration.ZERO,
        o.explore(),
        o.seed());
  }

  private static Source source(Path path) {
    try {
      if (Files.isRegularFile(path) || Files.isRegularFile(path.resolve(PolicyModel.FILE))) {
        FusionPolicy policy = FusionPolicy.open(path);
        return new Source(policy, policy::reload, true);
      }
      if (!Files.exists(path)) {
        throw new UsageException("--model " + path + ": there is no such file or folder");
      }
      if (!Files.isRegularFile(new RunFolder(path).config())) {
        throw new UsageException(
            "--model "
                + path
                + " holds no policy: give a policy.safetensors, a folder that holds one, or a run"
                + " folder of train, demo or progressive");
      }
      return trained(path);
    } catch (CheckpointException e) {
      throw new UsageException("--model " + path + ": " + e.getMessage(), e);
    }
  }

  private static Source trained(Path path) {
    RunFolder run = RunFolder.open(path, "--model");
    run.requirePolicy("--model");
    // Opened once: it may be a whole data set.
    Environment environment = ConfigOptions.open(Configuration.read(run.trained().config()));
    FusionPolicy policy = FusionPolicy.of(model(run, environment));
    return new Source(
        policy,
        () -> {
          synchronized (policy) { // an older checkpoint must not come after a newer one
            PolicyModel now = model(run, environment);
            if (now.sha256().equals(policy.model().sha256())) {
              return false;
            }
            policy.swap(now);
            return true;
          }
        },
        false);
  }

  /** The policy of a run's newest checkpoint. */
  private static PolicyModel model(RunFolder run, Environment environment) {
    RunFolder trained = run.trained();
    ExperimentConfig config = Configuration.read(trained.config());
    return TrainedPolicy.model(config, environment, trained.checkpoints());
  }

  private static void requireExplorable(ServeCommand command, PolicyModel model) {
    boolean able = model.kind() != PolicyModel.Kind.PAIR_ACTOR && model.box().isPresent();
    if (!able && (command.explore || command.log != null)) {
      throw new UsageException(
          (command.explore ? "--explore" : "--log")
              + ": model "
              + model.version()
              + " acts on candidates or has no box, so that nothing is explored: leave the option"
              + " out, or serve a model with a box");
    }
  }

  private static void announce(ServeCommand command, PolicyModel model, RankServer server) {
    PrintWriter out = command.common.text();
    String host = server.address().getHostString();
    String address =
        "http://%s:%d"
            .formatted(host.contains(":") ? "[" + host + "]" : host, server.address().getPort());
    out.printf(
        "Model %s (%s): %d features, %d scores%n",
        model.version(), model.kind(), model.stateSize(), model.scores());
    out.printf("Ranks at %s/v1/rank; ends at SIGTERM or Ctrl-C%n", address);
    out.flush();
    if (!isLoopback(command.host)) {
      PrintWriter err = command.common.spec.commandLine().getErr();
      err.println(
          "unifiedrl: warning: "
              + command.host
              + " is reached from other machines: whoever reaches it may rank and reload");
      err.flush();
    }
    ObjectNode result = Json.object();
    result.put("address", address);
    result.put("port", server.address().getPort());
    result.put("model", model.version());
    command.common.write(result);
  }

  private static boolean isLoopback(String host) {
    try {
      return InetAddress.getByName(host).isLoopbackAddress();
    } catch (UnknownHostException e) {
      return false;
    }
  }
}
