package org.unifiedrl.mtf.experiment;

import java.nio.file.Files;
import java.nio.file.Path;
import org.unifiedrl.mtf.kuairand.KuaiRand;
import org.unifiedrl.mtf.session.Environment;
import org.unifiedrl.mtf.session.LoggedRequests;
import org.unifiedrl.mtf.session.Simulator;

/** Environments by the names that a configuration gives them. */
public final class Environments {

  /** Begins the name of recorded exposures; the folder of their files follows. */
  public static final String KUAIRAND = "kuairand:";

  /** Begins the name of an imported log; the folder of the import follows. */
  public static final String LOG = "log:";

  private Environments() {}

  /**
   * Opens a configuration's environment: {@code simulator}, {@code kuairand:DIR} or {@code
   * log:DIR}.
   *
   * @throws IllegalArgumentException if there is none of that name, or no such folder
   */
  public static Environment open(ExperimentConfig config) {
    String name = config.environment();
    if (name.equals("simulator")) {
      return new Simulator(config.simulator());
    }
    if (name.startsWith(LOG)) {
      return LoggedRequests.open(Path.of(name.substring(LOG.length())));
    }
    if (!name.startsWith(KUAIRAND)) {
      throw new IllegalArgumentException(
          "unknown environment '" + name + "': expected 'simulator', 'kuairand:DIR' or 'log:DIR'");
    }
    Path folder = Path.of(name.substring(KUAIRAND.length()));
    if (!Files.isDirectory(folder)) {
      throw new IllegalArgumentException(
          "environment '"
              + name
              + "': there is no folder "
              + folder.toAbsolutePath().normalize()
              + "; give the folder that holds KuaiRand's published files (log_standard_*.csv,"
              + " user_features_*.csv, ...)");
    }
    return KuaiRand.open(folder);
  }
}
