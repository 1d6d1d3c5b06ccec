package org.unifiedrl.serve;

import java.time.Duration;

/**
 * What a service grants and takes.
 *
 * @param host address to listen on; {@value #LOOPBACK} is this machine only
 * @param port 0 for any that is free
 * @param threads requests that are worked on at once, 1 to 1024; further ones are refused with 503
 * @param maxBody largest body of a request in bytes, 1 to 256 MiB
 * @param maxCandidates most candidates of a request, 1 to 1,000,000
 * @param maxHeader largest head of a request (line and fields) in bytes
 * @param requestTimeout longest time in which a request's body has to arrive
 * @param idleTimeout longest silence on a connection
 * @param drainTimeout longest time that requests in flight are waited for at the end
 * @param poll time between two looks at the model's file; zero for none
 * @param explore whether requests that do not say explore
 * @param seed key of exploration
 */
public record ServeOptions(
    String host,
    int port,
    int threads,
    int maxBody,
    int maxCandidates,
    int maxHeader,
    Duration requestTimeout,
    Duration idleTimeout,
    Duration drainTimeout,
    Duration poll,
    boolean explore,
    long seed) {

  /** The address of this machine that no other reaches. */
  public static final String LOOPBACK = "127.0.0.1";

  private static final Duration LONGEST = Duration.ofDays(365);

  /** Loopback, port 8080, 8 requests at once, 4 MiB and 10,000 candidates each. */
  public static final ServeOptions DEFAULT =
      new ServeOptions(
          LOOPBACK,
          8080,
          8,
          4 << 20,
          10_000,
          8 << 10,
          Duration.ofSeconds(2),
          Duration.ofSeconds(30),
          Duration.ofSeconds(10),
          Duration.ofSeconds(5),
          false,
          0);

  /**
   * Checks the ranges.
   *
   * @throws IllegalArgumentException naming the option
   */
  public ServeOptions {
    range("port", port, 0, 65_535);
    range("threads", threads, 1, 1024);
    range("max-body", maxBody, 1, 256 << 20);
    range("max-candidates", maxCandidates, 1, 1_000_000);
    range("max-header", maxHeader, 256, 1 << 20);
    positive("request-timeout", requestTimeout);
    positive("idle-timeout", idleTimeout);
    positive("drain-timeout", drainTimeout);
    if (!poll.isZero()) {
      positive("poll", poll);
    }
  }

  private static void range(String option, int value, int least, int largest) {
    if (value < least || value > largest) {
      throw new IllegalArgumentException(
          option + " is " + value + ": expected " + least + " to " + largest);
    }
  }

  private static void positive(String option, Duration value) {
    // Milliseconds are what is counted: less would be no limit at all.
    if (value.toMillis() < 1 || value.compareTo(LONGEST) > 0) {
      throw new IllegalArgumentException(
          option + " is " + value + ": expected 1 ms to " + LONGEST.toDays() + " days");
    }
  }
}
