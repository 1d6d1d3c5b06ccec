package org.unifiedrl.cli;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.unifiedrl.mtf.experiment.Algorithms;
import org.unifiedrl.mtf.experiment.Environments;
import org.unifiedrl.mtf.experiment.ExperimentConfig;
import org.unifiedrl.mtf.session.Environment;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Options that make up the configuration of an experiment. */
final class ConfigOptions {

  private static final List<String> FOLDERS = List.of(Environments.KUAIRAND, Environments.LOG);

  @Option(
      names = "--config",
      paramLabel = "FILE",
      description = "YAML over the defaults; 'unifiedrl config' prints every key.")
  Path file;

  @Option(
      names = "--set",
      paramLabel = "KEY=VALUE",
      description = "One setting over the file, as training.steps=2000; repeatable.")
  List<String> settings = new ArrayList<>();

  @Option(
      names = "--environment",
      paramLabel = "NAME",
      description =
          "simulator, kuairand:DIR with KuaiRand's published files, or log:DIR with what import"
              + " left.")
  String environment;

  @Option(
      names = "--backend",
      paramLabel = "NAME",
      description =
          "auto (the best that works here), cuda, cpu, reference, or check:A,B, which compares two"
              + " step by step.")
  String backend;

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "Threads that serve and train (default: one per processor).")
  Integer threads;

  @Mixin DeviceOptions engine;

  /**
   * The configuration: defaults, then {@code base} if there is one, then the file, then single
   * settings.
   *
   * @param base configuration of the run that this one builds on, or null
   * @param seed what the command line says of it, or null
   */
  ExperimentConfig resolve(Path base, Long seed) {
    Configuration configuration = Configuration.of(ExperimentConfig.defaults());
    if (base != null) {
      configuration.readFile(base);
    }
    apply(configuration);
    if (seed != null) {
      configuration.put("seed", seed);
    }
    ExperimentConfig config = configuration.get();
    check(config);
    return config;
  }

  /** Puts the file and the single settings over what a configuration holds. */
  void apply(Configuration configuration) {
    applyFile(configuration);
    applySettings(configuration);
  }

  /** Puts the file over what a configuration holds. */
  void applyFile(Configuration configuration) {
    if (file != null) {
      configuration.readFile(file);
    }
  }

  /** Puts the single settings over what a configuration holds. */
  void applySettings(Configuration configuration) {
    settings.forEach(configuration::set);
    if (environment != null) {
      configuration.put("environment", environment);
    }
    if (backend != null) {
      configuration.put("backend", backend);
    }
    if (threads != null) {
      configuration.put("threads", threads);
    }
    if (engine.device != null) {
      configuration.put("engine", "device", engine.device);
    }
    if (engine.precision != null) {
      configuration.put("engine", "precision", engine.precision);
    }
    if (engine.replay != null) {
      configuration.put("engine", "replay", engine.replay);
    }
    FOLDERS.forEach(configuration::absoluteFolder);
  }

  /**
   * Returns if what a configuration names is known.
   *
   * @throws UsageException if it is not
   */
  static void check(ExperimentConfig config) {
    checkCoefficients(config);
    EngineAccess.requireBackend(config.backend());
  }

  /** Folder of an environment's files, if it has any. */
  static Optional<Path> folder(String environment) {
    return FOLDERS.stream()
        .filter(environment::startsWith)
        .map(scheme -> Path.of(environment.substring(scheme.length())))
        .findFirst();
  }

  /** Training's coefficients are known to be wrong before anything runs, not at its start. */
  private static void checkCoefficients(ExperimentConfig config) {
    try {
      Algorithms.of(config);
    } catch (IllegalArgumentException e) {
      throw new UsageException("training: " + Configuration.keys(e.getMessage()), e);
    }
  }

  /**
   * Opens the environment of a configuration, for a command that serves its users.
   *
   * @throws UsageException if it has none
   */
  static Environment openUsers(ExperimentConfig config) {
    Environment environment = open(config);
    if (!environment.hasUsers()) {
      throw new UsageException(
          "environment "
              + config.environment()
              + " is a log, which has no users to serve: train and evaluate work on it, and only"
              + " users of your own can tell more; or set --environment");
    }
    return environment;
  }

  /** Opens the environment of a configuration; a wrong name or folder is wrong use. */
  static Environment open(ExperimentConfig config) {
    try {
      return Environments.open(config);
    } catch (IllegalArgumentException e) {
      throw new UsageException(e.getMessage(), e);
    }
  }
}
