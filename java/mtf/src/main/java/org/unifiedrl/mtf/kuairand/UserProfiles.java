package org.unifiedrl.mtf.kuairand;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/**
 * The part of the state that is known before the served period: user features, history, and
 * behaviour in the log's earlier days. Counts are ln(1 + n) / 10 and shares are shares, so every
 * feature is of order 1.
 */
final class UserProfiles {

  private static final List<String> ACTIVE_DEGREES =
      List.of("full_active", "high_active", "middle_active", "low_active", "2_14_day_new");
  private static final List<String> COUNTS =
      List.of("follow_user_num", "fans_user_num", "friend_user_num", "register_days");
  private static final List<String> FLAGS =
      List.of(
          "is_live_streamer",
          "is_video_author",
          "onehot_feat0",
          "onehot_feat12",
          "onehot_feat13",
          "onehot_feat14",
          "onehot_feat15",
          "onehot_feat16",
          "onehot_feat17");
  private static final List<String> HISTORY =
      List.of("history_known", "history_length", "history_like_share", "history_long_view_share");
  private static final List<String> EARLIER =
      List.of(
          "earlier_exposures",
          "earlier_valid_share",
          "earlier_log_watch",
          "earlier_finish_share",
          "earlier_like_share",
          "earlier_interaction_share",
          "earlier_click_share",
          "earlier_log_duration");

  /** Exposures that the population's mean is worth in a user's shares. */
  private static final double PRIOR = 5;

  /** Names of the features, in order. */
  static final List<String> NAMES = names();

  static final int SIZE = NAMES.size();

  private static final int COUNTS_AT = ACTIVE_DEGREES.size();
  private static final int FLAGS_AT = COUNTS_AT + COUNTS.size();
  private static final int HISTORY_AT = FLAGS_AT + FLAGS.size();
  private static final int EARLIER_AT = HISTORY_AT + HISTORY.size();

  /** Position of the earlier days' mean behaviours, which are in the order of the scores. */
  static final int EARLIER_MEANS_AT = EARLIER_AT + 1;

  private final float[] values; // [users, SIZE]

  private UserProfiles(int users) {
    values = new float[users * SIZE];
  }

  private static List<String> names() {
    List<String> names = new ArrayList<>();
    ACTIVE_DEGREES.forEach(degree -> names.add("active_degree_" + degree));
    COUNTS.forEach(count -> names.add("log_" + count));
    names.addAll(FLAGS);
    names.addAll(HISTORY);
    names.addAll(EARLIER);
    return Collections.unmodifiableList(names);
  }

  static UserProfiles read(KuaiRandFiles files, ExposureLog log, int firstServedDate) {
    UserProfiles profiles = new UserProfiles(log.users());
    profiles.readFeatures(files.userFeatures(), log);
    files.userHistory().ifPresent(file -> profiles.readHistory(file, log));
    profiles.summariseEarlierDays(log, firstServedDate);
    return profiles;
  }

  /** Copies the features of a user to {@code target} at {@code offset}. */
  void copy(int user, float[] target, int offset) {
    System.arraycopy(values, user * SIZE, target, offset, SIZE);
  }

  private void readFeatures(Path file, ExposureLog log) {
    boolean[] seen = new boolean[log.users()];
    try (CsvTable table = new CsvTable(file)) {
      int userColumn = table.column("user_id");
      int degreeColumn = table.column("user_active_degree");
      int[] counts = COUNTS.stream().mapToInt(table::column).toArray();
      int[] flags = FLAGS.stream().mapToInt(table::column).toArray();
      while (table.next()) {
        int user = log.userOf(table.integer(userColumn));
        if (user < 0) {
          continue;
        }
        seen[user] = true;
        int at = user * SIZE;
        int degree = ACTIVE_DEGREES.indexOf(table.text(degreeColumn));
        if (degree >= 0) {
          values[at + degree] = 1;
        }
        for (int i = 0; i < counts.length; i++) {
          values[at + COUNTS_AT + i] = logCount(table.number(counts[i], 0, 1e12, 0));
        }
        for (int i = 0; i < flags.length; i++) {
          // The published files write -124 for "unknown", and leave some fields empty.
          values[at + FLAGS_AT + i] = table.number(flags[i], -124, 1e9, 0) > 0 ? 1 : 0;
        }
      }
    }
    for (int user = 0; user < seen.length; user++) {
      if (!seen[user]) {
        throw new KuaiRandException(
            file
                + ": user_id "
                + log.userIds[user]
                + " of the logs is missing; take user features and logs from the same subset");
      }
    }
  }

  private void readHistory(Path file, ExposureLog log) {
    try (CsvTable table = new CsvTable(file)) {
      int userColumn = table.column("user_id");
      int lengthColumn = table.column("history_len");
      int watchColumn = table.column("watch_seq");
      int likeColumn = table.column("like_seq");
      int longColumn = table.column("long_watch_seq");
      while (table.next()) {
        int user = log.userOf(table.integer(userColumn));
        double length = table.integer(lengthColumn);
        if (user < 0) {
          continue;
        }
        int at = user * SIZE + HISTORY_AT;
        // Each list is cut at its 50 latest videos, so shares are of the whole history's length.
        double known = Math.max(length, words(table.text(watchColumn)));
        values[at] = 1;
        values[at + 1] = logCount(length);
        values[at + 2] = (float) (words(table.text(likeColumn)) / Math.max(known, 1));
        values[at + 3] = (float) (words(table.text(longColumn)) / Math.max(known, 1));
      }
    }
  }

  private void summariseEarlierDays(ExposureLog log, int firstServedDate) {
    int size = EARLIER.size();
    double[] population = new double[size];
    double[] sums = new double[log.users() * size];
    for (int user = 0; user < log.users(); user++) {
      int at = user * size;
      for (int row = log.userStart[user]; row < log.userStart[user + 1]; row++) {
        if (log.date[row] < firstServedDate) {
          sums[at]++;
          sums[at + 1] += log.valid(row) ? 1 : 0;
          sums[at + 2] += Math.log1p(log.playMs[row] / 1e3);
          sums[at + 3] += log.finished(row) ? 1 : 0;
          sums[at + 4] += log.has(row, ExposureLog.LIKE) ? 1 : 0;
          sums[at + 5] += log.has(row, ExposureLog.INTERACTION) ? 1 : 0;
          sums[at + 6] += log.has(row, ExposureLog.CLICK) ? 1 : 0;
          sums[at + 7] += Math.log1p(log.durationMs[row] / 1e3);
        }
      }
      for (int k = 0; k < size; k++) {
        population[k] += sums[at + k];
      }
    }
    for (int user = 0; user < log.users(); user++) {
      int at = user * SIZE + EARLIER_AT;
      double count = sums[user * size];
      values[at] = logCount(count);
      for (int k = 1; k < size; k++) {
        double mean = population[0] > 0 ? population[k] / population[0] : 0;
        values[at + k] = (float) ((sums[user * size + k] + PRIOR * mean) / (count + PRIOR));
      }
    }
  }

  private static float logCount(double count) {
    return (float) (Math.log1p(count) / 10);
  }

  private static int words(String text) {
    return text.isBlank() ? 0 : text.trim().split(" +").length;
  }
}
