package org.unifiedrl.serve;

import java.nio.ByteBuffer;
import java.util.Map;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.server.handler.ErrorHandler;
import org.eclipse.jetty.util.Callback;

/** What the server itself refuses (bad heads, shutting down), in the form of all other errors. */
final class JsonErrors extends ErrorHandler {

  private static final Map<Integer, String> REMEDIES =
      Map.of(
          400, "send HTTP/1.1",
          408, "send the whole request sooner",
          413, "send a smaller body",
          414, "send a shorter path",
          431, "send fewer or shorter header fields, or raise --max-header",
          503, "try again, at another instance if there is one");

  @Override
  public boolean handle(Request request, Response response, Callback callback) {
    int status = response.getStatus();
    Object message = request.getAttribute(ErrorHandler.ERROR_MESSAGE);
    Refusal refusal =
        new Refusal(
            status,
            status == 503 ? "unavailable" : status < 500 ? "bad_request" : "internal",
            "",
            status < 500 && message != null ? message.toString() : "the request was not answered",
            REMEDIES.getOrDefault(status, "see docs/serving.md"));
    response.getHeaders().put(HttpHeader.CONTENT_TYPE, RankHandler.JSON);
    if (status == 503) {
      response.getHeaders().put(HttpHeader.RETRY_AFTER, RankHandler.RETRY_SECONDS);
    }
    response.write(true, ByteBuffer.wrap(Answers.error(refusal)), callback);
    return true;
  }
}
