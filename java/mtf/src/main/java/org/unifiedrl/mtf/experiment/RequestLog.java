package org.unifiedrl.mtf.experiment;

import java.util.Map;
import org.unifiedrl.engine.replay.ReplaySchema;
import org.unifiedrl.engine.replay.ReplaySchema.Column;
import org.unifiedrl.mtf.session.Environment;

/** The columns of a logged request, beyond the engine's standard ones: what the page showed. */
public final class RequestLog {

  /** Predicted scores of the shown items, {@code [l, k]} row-major; 0 beyond the shown items. */
  public static final String PAGE_SCORES = "page_scores";

  /** Responses to the shown items, {@code [l, responses]}; 0 beyond the shown items. */
  public static final String PAGE_RESPONSES = "page_responses";

  /** Number of items shown. */
  public static final String PAGE_ITEMS = "page_items";

  private RequestLog() {}

  /** Schema of the requests of an environment. */
  public static ReplaySchema schema(Environment environment, Map<String, String> metadata) {
    int page = environment.pageSize();
    return ReplaySchema.standard(
            environment.stateSize(),
            environment.actionSize(),
            environment.rewardGroups().size(),
            metadata)
        .with(
            new Column(PAGE_SCORES, page * environment.scoreNames().size()),
            new Column(PAGE_RESPONSES, page * environment.responseNames().size()),
            new Column(PAGE_ITEMS, 1));
  }
}
