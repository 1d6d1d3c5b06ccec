package org.unifiedrl.mtf.session;

/**
 * What each user of a rollout did, indexed by position in the served range. All arrays have one
 * entry per user.
 *
 * @param validConsumptions items watched longer than 10 s, per day
 * @param watchSeconds watch time in seconds, per day
 * @param requests requests, total
 * @param sessions sessions, total
 * @param returns sum of all rewards over all groups, total
 */
public record UserTotals(
    double[] validConsumptions,
    double[] watchSeconds,
    double[] requests,
    double[] sessions,
    double[] returns) {

  /** Totals of {@code users} users, all zero. */
  public static UserTotals zero(int users) {
    return new UserTotals(
        new double[users],
        new double[users],
        new double[users],
        new double[users],
        new double[users]);
  }

  /** Copies all users' totals to the places from {@code at} on of others. */
  public void copyTo(UserTotals others, int at) {
    int count = requests.length;
    System.arraycopy(validConsumptions, 0, others.validConsumptions, at, count);
    System.arraycopy(watchSeconds, 0, others.watchSeconds, at, count);
    System.arraycopy(requests, 0, others.requests, at, count);
    System.arraycopy(sessions, 0, others.sessions, at, count);
    System.arraycopy(returns, 0, others.returns, at, count);
  }
}
