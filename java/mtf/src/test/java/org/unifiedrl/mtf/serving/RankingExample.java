package org.unifiedrl.mtf.serving;

import java.nio.file.Path;
import java.util.Arrays;

/** The example of docs/serving.md, compiled and run by the tests. */
final class RankingExample implements AutoCloseable {

  private final FusionPolicy policy;
  private final ServingLog log;
  private final ThreadLocal<FusionPolicy.Request> requests;

  RankingExample(Path model, Path logs) {
    policy = FusionPolicy.open(model);
    log = ServingLog.open(logs, policy);
    requests = ThreadLocal.withInitial(policy::request);
  }

  /** Scores lie task by task: all of the first score, then all of the second. */
  int[] rank(long requestId, long user, float[] features, float[] scores, int candidates) {
    FusionPolicy.Request request = requests.get();
    request.begin(requestId).features(features).explore(7); // or act(), without exploration
    int shown = request.rank(scores, candidates, 10);
    log.append(request, user, System.currentTimeMillis());
    return Arrays.copyOf(request.page(), shown);
  }

  /** Called every few seconds, by a thread that may wait for the disk. */
  boolean renew() {
    return policy.reload();
  }

  @Override
  public void close() {
    log.close();
  }
}
