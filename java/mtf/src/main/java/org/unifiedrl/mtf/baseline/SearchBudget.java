package org.unifiedrl.mtf.baseline;

/**
 * What a search may spend, whatever its method: everything that it does to find a vector counts,
 * repetitions against noise and the last round's losers included. The search ends before the first
 * of the three runs out. Only a limit in seconds makes results depend on the machine.
 *
 * @param evaluations times that a vector may be evaluated, at least 1
 * @param requests environment requests that may be served, at least 1
 * @param seconds time that may pass, the method's own computing included; positive
 */
public record SearchBudget(long evaluations, long requests, double seconds) {

  /** Checks every value. */
  public SearchBudget {
    if (evaluations < 1 || requests < 1 || !(seconds > 0)) {
      throw new IllegalArgumentException(
          "a search's budget needs evaluations and requests of at least 1 and positive seconds;"
              + " got "
              + evaluations
              + ", "
              + requests
              + ", "
              + seconds);
    }
  }

  /** So many evaluations; requests and seconds without limit. */
  public static SearchBudget ofEvaluations(long evaluations) {
    return new SearchBudget(evaluations, Long.MAX_VALUE, Double.POSITIVE_INFINITY);
  }

  /** So many requests; evaluations and seconds without limit. */
  public static SearchBudget ofRequests(long requests) {
    return new SearchBudget(Long.MAX_VALUE, requests, Double.POSITIVE_INFINITY);
  }
}
