package org.unifiedrl.mtf.kuairand;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/**
 * Predicted scores of exposures, one row of {@link #NAMES} per exposure of the log, and from which
 * date on they exist. Probabilities, but for the watch time, in seconds.
 *
 * @param values {@code [rows, 5]}, in the log's order
 * @param present whether an exposure has scores
 * @param firstDate first date (yyyymmdd) with scores; nothing from then on may enter a predictor
 * @param auc out-of-time AUC of each binary score where the project fitted it itself, else empty
 */
record ExposureScores(float[] values, boolean[] present, int firstDate, Map<String, Double> auc) {

  static final int VALID = 0;
  static final int WATCH = 1;
  static final int FINISH = 2;
  static final int LIKE = 3;
  static final int INTERACTION = 4;

  /** Names of the scores, in fusion order. */
  static final List<String> NAMES =
      List.of("valid_consumption", "watch_seconds", "finish", "like", "interaction");

  static final int COUNT = NAMES.size();

  /** Reads {@code mtl_scores_*}: rows are matched to exposures by user, video and time. */
  static ExposureScores read(Path file, ExposureLog log) {
    float[] values = new float[log.rows * COUNT];
    boolean[] present = new boolean[log.rows];
    int firstDate = Integer.MAX_VALUE;
    int matched = 0;
    try (CsvTable table = new CsvTable(file)) {
      int userColumn = table.column("user_id");
      int videoColumn = table.column("video_id");
      int timeColumn = table.column("time_ms");
      int valid = table.column("p_valid10");
      int watch = table.column("p_log1p_play_s");
      int finish = table.column("p_finish");
      int like = table.column("p_is_like");
      int[] interactions = {
        table.column("p_is_follow"),
        table.column("p_is_comment"),
        table.column("p_is_forward"),
        table.column("p_is_profile_enter")
      };
      while (table.next()) {
        long video = table.integer(videoColumn);
        long time = table.integer(timeColumn);
        int user = log.userOf(table.integer(userColumn));
        float[] scores = {
          (float) table.number(valid, 0, 1),
          watchSeconds(table.number(watch, -20, 20)),
          (float) table.number(finish, 0, 1),
          (float) table.number(like, 0, 1),
          any(table, interactions)
        };
        if (user < 0) {
          continue;
        }
        int end = log.userStart[user + 1];
        int row = lowerBound(log.time, log.userStart[user], end, time);
        for (; row < end && log.time[row] == time; row++) {
          if (log.video[row] == video) {
            System.arraycopy(scores, 0, values, row * COUNT, COUNT);
            present[row] = true;
            firstDate = Math.min(firstDate, log.date[row]);
            matched++;
          }
        }
      }
    }
    if (matched == 0) {
      throw new KuaiRandException(
          file + ": no row has the user_id, video_id and time_ms of an exposure in the logs");
    }
    return new ExposureScores(values, present, firstDate, Map.of());
  }

  /** Seconds from a predicted ln(1 + seconds), which a regression may put below 0. */
  static float watchSeconds(double log1pSeconds) {
    return (float) Math.expm1(Math.max(log1pSeconds, 0));
  }

  /** Probability of any of several interactions, taken as independent. */
  private static float any(CsvTable table, int[] columns) {
    double none = 1;
    for (int column : columns) {
      none *= 1 - table.number(column, 0, 1);
    }
    return (float) (1 - none);
  }

  private static int lowerBound(long[] values, int from, int to, long key) {
    int low = from;
    int high = to;
    while (low < high) {
      int middle = (low + high) >>> 1;
      if (values[middle] < key) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  /** Number of exposures with scores among rows {@code from .. to - 1}. */
  int count(int from, int to) {
    int count = 0;
    for (boolean has : Arrays.copyOfRange(present, from, to)) {
      count += has ? 1 : 0;
    }
    return count;
  }
}
