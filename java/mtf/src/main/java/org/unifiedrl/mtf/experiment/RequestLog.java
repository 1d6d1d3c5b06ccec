package org.unifiedrl.mtf.experiment;

import java.util.Map;
import org.unifiedrl.engine.replay.ReplaySchema;
import org.unifiedrl.engine.replay.ReplaySchema.Column;
import org.unifiedrl.mtf.algorithm.Transitions;
import org.unifiedrl.mtf.session.Environment;
import org.unifiedrl.mtf.session.PairwiseEnvironment;
import org.unifiedrl.mtf.session.Rollout;

/** The columns of a logged request, beyond the engine's standard ones: what the page showed. */
public final class RequestLog {

  /** Predicted scores of the shown items, {@code [l, k]} row-major; 0 beyond the shown items. */
  public static final String PAGE_SCORES = "page_scores";

  /** Responses to the shown items, {@code [l, responses]}; 0 beyond the shown items. */
  public static final String PAGE_RESPONSES = "page_responses";

  /** Number of items shown. */
  public static final String PAGE_ITEMS = "page_items";

  /**
   * Optional: predicted scores of all candidates, {@code [k, n]} row-major with n the environment's
   * largest number of candidates; 0 beyond the candidates that there were.
   */
  public static final String CANDIDATE_SCORES = "candidate_scores";

  /** Optional: place among the candidates of each shown item, {@code [l]}; -1 beyond those. */
  public static final String PAGE_CANDIDATES = "page_candidates";

  /** Key of the metadata that names the kind of exploration. */
  static final String EXPLORATION = "exploration";

  private RequestLog() {}

  /**
   * Schema of the requests of an environment. In a {@link PairwiseEnvironment} a row holds the l
   * pairs that were shown, see {@link Transitions#SHOWN}: at places that showed nothing what the
   * first place has, and its log density is that of the shown pairs together.
   *
   * @param candidates whether all candidates' scores are logged, so that a request can be ranked
   *     again by any action; 4 k n bytes more a row
   */
  public static ReplaySchema schema(
      Environment environment, Map<String, String> metadata, boolean candidates) {
    ReplaySchema schema = schema(environment, metadata);
    return candidates
        ? schema.with(
            new Column(CANDIDATE_SCORES, candidateScores(environment)),
            new Column(PAGE_CANDIDATES, environment.pageSize()))
        : schema;
  }

  /** Number k n of one request's candidate scores. */
  private static int candidateScores(Environment environment) {
    Rollout rollout = environment.rollout(0, environment.trainUsers().slice(0, 1), 1, 1);
    return environment.scoreNames().size() * rollout.candidates();
  }

  private static ReplaySchema schema(Environment environment, Map<String, String> metadata) {
    int page = environment.pageSize();
    int states = environment.stateSize();
    int actions = environment.actionSize();
    boolean pairwise = environment instanceof PairwiseEnvironment;
    if (environment instanceof PairwiseEnvironment pairs) {
      states = page * pairs.pairStateSize();
      actions = page * pairs.pairActionSize();
    }
    ReplaySchema schema =
        ReplaySchema.standard(states, actions, environment.rewardGroups().size(), metadata)
            .with(
                new Column(PAGE_SCORES, page * environment.scoreNames().size()),
                new Column(PAGE_RESPONSES, page * environment.responseNames().size()),
                new Column(PAGE_ITEMS, 1));
    return pairwise ? schema.with(new Column(Transitions.SHOWN, page)) : schema;
  }
}
