package org.unifiedrl.mtf.kuairand;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * The files of a KuaiRand folder, found by their published names ({@code log_standard_*}, {@code
 * user_features_*}, {@code video_features_*}), plain or gzip, whatever the subset (pure, 1k, 27k).
 *
 * @param logs logs of the standard policy, in the order of their names
 * @param userFeatures user features
 * @param videoFeatures basic video features, if there
 * @param userHistory each user's history before the logs (not published; derived), if there
 * @param scores predicted scores of exposures (not published; derived), if there
 */
record KuaiRandFiles(
    List<Path> logs,
    Path userFeatures,
    Optional<Path> videoFeatures,
    Optional<Path> userHistory,
    Optional<Path> scores) {

  /**
   * Finds the files of a folder; those of a {@code data} folder inside it if it has none itself.
   */
  static KuaiRandFiles find(Path folder) {
    if (!Files.isDirectory(folder)) {
      throw new KuaiRandException(
          folder
              + ": no such folder; expected the unpacked KuaiRand files (https://kuairand.com)"
              + " with log_standard_*.csv and user_features_*.csv");
    }
    List<Path> files = list(folder);
    if (files.isEmpty() && Files.isDirectory(folder.resolve("data"))) {
      files = list(folder.resolve("data")); // as in the published archives
    }
    List<Path> logs = named(files, "log_standard");
    if (logs.isEmpty()) {
      throw missing(folder, "log_standard_*.csv or .csv.gz");
    }
    Path users =
        one(folder, named(files, "user_features"))
            .orElseThrow(() -> missing(folder, "user_features_*.csv or .csv.gz"));
    List<Path> videos =
        named(files, "video_features").stream()
            .filter(file -> !file.getFileName().toString().contains("statistic"))
            .toList();
    return new KuaiRandFiles(
        logs,
        users,
        one(folder, videos),
        one(folder, named(files, "user_history")),
        one(folder, named(files, "mtl_scores")));
  }

  private static List<Path> list(Path folder) {
    try (Stream<Path> entries = Files.list(folder)) {
      return entries
          .filter(file -> file.getFileName().toString().matches(".*\\.csv(\\.gz)?"))
          .sorted()
          .toList();
    } catch (IOException e) {
      throw new KuaiRandException(folder + ": cannot be listed: " + e, e);
    }
  }

  private static List<Path> named(List<Path> files, String prefix) {
    return files.stream()
        .filter(file -> file.getFileName().toString().startsWith(prefix))
        .filter(file -> !file.toString().endsWith(".gz") || !files.contains(withoutGz(file)))
        .toList();
  }

  private static Path withoutGz(Path file) {
    String name = file.getFileName().toString();
    return file.resolveSibling(name.substring(0, name.length() - ".gz".length()));
  }

  private static Optional<Path> one(Path folder, List<Path> files) {
    if (files.size() > 1) {
      throw new KuaiRandException(folder + ": expected one of these files, keep only it: " + files);
    }
    return files.stream().findFirst();
  }

  private static KuaiRandException missing(Path folder, String what) {
    return new KuaiRandException(
        folder + ": " + what + " is missing; download KuaiRand from https://kuairand.com");
  }
}
