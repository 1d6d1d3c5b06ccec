package org.unifiedrl.mtf.kuairand;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

/**
 * All exposures of the standard logs as parallel arrays, sorted by user, then time; exact
 * duplicates, which the published files contain, are dropped. Users are numbered from 0 in
 * ascending order of their identifiers.
 *
 * <p>Not changed after {@link #read}; its arrays are shared, not copied.
 */
final class ExposureLog {

  /** Bits of {@link #feedback}. */
  static final int CLICK = 1;

  static final int LIKE = 2;
  static final int FOLLOW = 4;
  static final int COMMENT = 8;
  static final int FORWARD = 16;
  static final int HATE = 32;
  static final int LONG_VIEW = 64;
  static final int PROFILE = 128;

  /** Positive interactions other than a like. */
  static final int INTERACTION = FOLLOW | COMMENT | FORWARD | PROFILE;

  private static final String[] FEEDBACK_COLUMNS = {
    "is_click",
    "is_like",
    "is_follow",
    "is_comment",
    "is_forward",
    "is_hate",
    "long_view",
    "is_profile_enter"
  };

  private static final int ROW_BITS = 30;
  private static final long MAX_SPAN_MS = 1L << (Long.SIZE - 1 - ROW_BITS);

  int rows;
  long[] userIds; // [users], ascending
  int[] userStart; // [users + 1], first row of each user
  long[] video = new long[1 << 12];
  long[] time = new long[1 << 12]; // milliseconds
  int[] date = new int[1 << 12]; // yyyymmdd
  int[] playMs = new int[1 << 12];
  int[] durationMs = new int[1 << 12];
  int[] feedback = new int[1 << 12];
  int[] chronological; // [rows], rows in ascending time
  int duplicates;

  private long[] user = new long[1 << 12];

  private ExposureLog() {}

  static ExposureLog read(List<Path> files) {
    ExposureLog log = new ExposureLog();
    for (Path file : files) {
      log.append(file);
    }
    if (log.rows == 0) {
      throw new KuaiRandException(files + ": no exposures in these files");
    }
    log.sort();
    return log;
  }

  int users() {
    return userIds.length;
  }

  /** Number of a user identifier, negative if the log does not have it. */
  int userOf(long userId) {
    return Arrays.binarySearch(userIds, userId);
  }

  /** Whether the video was watched longer than 10 s (specification 1.4). */
  boolean valid(int row) {
    return playMs[row] > 10_000;
  }

  boolean finished(int row) {
    return durationMs[row] > 0 && playMs[row] >= durationMs[row];
  }

  boolean has(int row, int feedbackBits) {
    return (feedback[row] & feedbackBits) != 0;
  }

  private void append(Path file) {
    try (CsvTable table = new CsvTable(file)) {
      int userColumn = table.column("user_id");
      int videoColumn = table.column("video_id");
      int dateColumn = table.column("date");
      int timeColumn = table.column("time_ms");
      int playColumn = table.column("play_time_ms");
      int durationColumn = table.column("duration_ms");
      int[] feedbackColumns = new int[FEEDBACK_COLUMNS.length];
      for (int i = 0; i < feedbackColumns.length; i++) {
        feedbackColumns[i] = table.column(FEEDBACK_COLUMNS[i]);
      }
      while (table.next()) {
        if (rows == time.length) {
          resize(2 * rows);
        }
        user[rows] = table.integer(userColumn);
        video[rows] = table.integer(videoColumn);
        date[rows] = (int) table.integer(dateColumn, 19700101, 29991231);
        time[rows] = table.integer(timeColumn);
        playMs[rows] = (int) table.integer(playColumn, 0, Integer.MAX_VALUE);
        durationMs[rows] = (int) table.integer(durationColumn, 0, Integer.MAX_VALUE);
        int bits = 0;
        for (int i = 0; i < feedbackColumns.length; i++) {
          bits |= (int) table.integer(feedbackColumns[i], 0, 1) << i;
        }
        feedback[rows] = bits;
        rows++;
      }
    }
  }

  private void resize(int capacity) {
    user = Arrays.copyOf(user, capacity);
    video = Arrays.copyOf(video, capacity);
    date = Arrays.copyOf(date, capacity);
    time = Arrays.copyOf(time, capacity);
    playMs = Arrays.copyOf(playMs, capacity);
    durationMs = Arrays.copyOf(durationMs, capacity);
    feedback = Arrays.copyOf(feedback, capacity);
  }

  private void sort() {
    userIds = Arrays.stream(user, 0, rows).sorted().distinct().toArray();
    int[] byTime = orderByTime(time, rows);
    // Stable distribution of the rows, in order of time, over users.
    int[] next = new int[userIds.length + 1];
    int[] userIndex = new int[rows];
    for (int row = 0; row < rows; row++) {
      userIndex[row] = userOf(user[row]);
      next[userIndex[row] + 1]++;
    }
    Arrays.parallelPrefix(next, Integer::sum);
    int[] order = new int[rows];
    for (int row : byTime) {
      order[next[userIndex[row]]++] = row;
    }
    dropDuplicatesAndApply(order, userIndex);
    chronological = orderByTime(time, rows);
  }

  private static int[] orderByTime(long[] time, int rows) {
    long first = Arrays.stream(time, 0, rows).min().orElseThrow();
    long last = Arrays.stream(time, 0, rows).max().orElseThrow();
    if (last - first >= MAX_SPAN_MS || rows > 1 << ROW_BITS) {
      throw new KuaiRandException(
          "the logs hold "
              + rows
              + " rows with time_ms from "
              + first
              + " to "
              + last
              + "; expected at most 2^30 rows within 99 days");
    }
    long[] keys = new long[rows];
    for (int row = 0; row < rows; row++) {
      keys[row] = (time[row] - first) << ROW_BITS | row;
    }
    Arrays.sort(keys);
    int[] order = new int[rows];
    for (int i = 0; i < rows; i++) {
      order[i] = (int) (keys[i] & ((1L << ROW_BITS) - 1));
    }
    return order;
  }

  private void dropDuplicatesAndApply(int[] order, int[] userIndex) {
    int kept = 0;
    userStart = new int[userIds.length + 1];
    for (int i = 0; i < rows; i++) {
      boolean duplicate = false;
      for (int j = kept - 1; j >= 0 && sameMoment(order[j], order[i]) && !duplicate; j--) {
        duplicate = sameRow(order[j], order[i]);
      }
      if (!duplicate) {
        order[kept++] = order[i];
        userStart[userIndex[order[i]] + 1] = kept;
      }
    }
    duplicates = rows - kept;
    rows = kept;
    video = apply(video, order);
    time = apply(time, order);
    date = apply(date, order);
    playMs = apply(playMs, order);
    durationMs = apply(durationMs, order);
    feedback = apply(feedback, order);
    user = new long[0];
  }

  private boolean sameMoment(int a, int b) {
    return user[a] == user[b] && time[a] == time[b];
  }

  private boolean sameRow(int a, int b) {
    return video[a] == video[b]
        && date[a] == date[b]
        && playMs[a] == playMs[b]
        && durationMs[a] == durationMs[b]
        && feedback[a] == feedback[b];
  }

  private long[] apply(long[] column, int[] order) {
    long[] sorted = new long[rows];
    for (int i = 0; i < rows; i++) {
      sorted[i] = column[order[i]];
    }
    return sorted;
  }

  private int[] apply(int[] column, int[] order) {
    int[] sorted = new int[rows];
    for (int i = 0; i < rows; i++) {
      sorted[i] = column[order[i]];
    }
    return sorted;
  }
}
