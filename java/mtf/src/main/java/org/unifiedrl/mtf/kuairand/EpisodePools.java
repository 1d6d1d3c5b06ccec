package org.unifiedrl.mtf.kuairand;

/**
 * The candidate pools of the users who take part, copied from the log into arrays of their own, so
 * that the log can be let go. Immutable.
 */
final class EpisodePools {

  final int pageSize;

  private final int poolPerPage;
  private final int maximumPages;

  final int[] start; // [users + 1], first candidate of each user
  final float[] scores; // [candidates, k]
  final float[] outcomes; // [candidates, k]: the behaviours that the scores predict, same order
  final float[] durations; // [candidates], ln(1 + seconds)
  final long[] times; // [candidates], milliseconds, ascending within a user
  final float[] profiles; // [users, UserProfiles.SIZE]
  final int largest;

  EpisodePools(
      ExposureLog log,
      ExposureScores exposureScores,
      UserProfiles userProfiles,
      int[] users,
      int pageSize,
      int poolPerPage,
      int maximumPages) {
    this.pageSize = pageSize;
    this.poolPerPage = poolPerPage;
    this.maximumPages = maximumPages;
    int k = ExposureScores.COUNT;
    start = new int[users.length + 1];
    int most = 0;
    for (int u = 0; u < users.length; u++) {
      int size = exposureScores.count(log.userStart[users[u]], log.userStart[users[u] + 1]);
      start[u + 1] = start[u] + size;
      most = Math.max(most, size);
    }
    largest = most;
    int candidates = start[users.length];
    scores = new float[candidates * k];
    outcomes = new float[candidates * k];
    durations = new float[candidates];
    times = new long[candidates];
    profiles = new float[users.length * UserProfiles.SIZE];
    int c = 0;
    for (int u = 0; u < users.length; u++) {
      userProfiles.copy(users[u], profiles, u * UserProfiles.SIZE);
      for (int row = log.userStart[users[u]]; row < log.userStart[users[u] + 1]; row++) {
        if (!exposureScores.present()[row]) {
          continue;
        }
        System.arraycopy(exposureScores.values(), row * k, scores, c * k, k);
        outcomes[c * k + ExposureScores.VALID] = log.valid(row) ? 1 : 0;
        outcomes[c * k + ExposureScores.WATCH] = log.playMs[row] / 1e3f;
        outcomes[c * k + ExposureScores.FINISH] = log.finished(row) ? 1 : 0;
        outcomes[c * k + ExposureScores.LIKE] = log.has(row, ExposureLog.LIKE) ? 1 : 0;
        outcomes[c * k + ExposureScores.INTERACTION] =
            log.has(row, ExposureLog.INTERACTION) ? 1 : 0;
        durations[c] = (float) Math.log1p(log.durationMs[row] / 1e3);
        times[c] = log.time[row];
        c++;
      }
    }
  }

  int users() {
    return start.length - 1;
  }

  int size(int user) {
    return start[user + 1] - start[user];
  }

  /** Pages of a user's episode. */
  int pages(int user) {
    return Math.min(size(user) / poolPerPage, maximumPages);
  }

  /** Share of all candidates that gets shown. */
  double shownShare() {
    long shown = 0;
    for (int user = 0; user < users(); user++) {
      shown += (long) pages(user) * pageSize;
    }
    return (double) shown / start[users()];
  }
}
