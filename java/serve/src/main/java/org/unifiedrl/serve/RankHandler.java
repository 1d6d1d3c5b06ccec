package org.unifiedrl.serve;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Locale;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.TimeoutException;
import java.util.function.BooleanSupplier;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.io.Content;
import org.eclipse.jetty.io.EndPoint;
import org.eclipse.jetty.server.Handler;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.util.Callback;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.unifiedrl.mtf.serving.FusionPolicy;
import org.unifiedrl.mtf.serving.PolicyModel;
import org.unifiedrl.mtf.serving.ServingLog;

/** Paths and what they do. */
final class RankHandler extends Handler.Abstract {

  static final String JSON = "application/json";
  static final String RETRY_SECONDS = "1";

  private static final Logger LOG = LoggerFactory.getLogger(RankHandler.class);
  private static final String TEXT = "text/plain; version=0.0.4; charset=utf-8";
  private static final int FIRST_BODY = 64 << 10;

  private final FusionPolicy policy;
  private final ServingLog log;
  private final BooleanSupplier reload;
  private final ServeOptions options;
  private final ArrayBlockingQueue<Work> free;
  private final Metrics metrics;
  private volatile boolean ready;
  private volatile String refusedBefore;

  /** Memory for one request at a time. */
  private static final class Work {
    private final FusionPolicy.Request request;
    private final RankBody body;
    private final ByteArrayOutputStream answer = new ByteArrayOutputStream(4096);
    private byte[] bytes;

    private Work(FusionPolicy policy, ServeOptions options) {
      request = policy.request();
      body = new RankBody(policy.model(), options.maxBody(), options.maxCandidates());
      bytes = new byte[Math.min(FIRST_BODY, options.maxBody())];
    }
  }

  RankHandler(FusionPolicy policy, ServingLog log, BooleanSupplier reload, ServeOptions options) {
    this.policy = policy;
    this.log = log;
    this.reload = reload;
    this.options = options;
    free = new ArrayBlockingQueue<>(options.threads());
    for (int i = 0; i < options.threads(); i++) {
      free.add(new Work(policy, options));
    }
    metrics = new Metrics(() -> options.threads() - free.size(), log);
  }

  void setReady(boolean now) {
    ready = now;
  }

  String metrics() {
    return metrics.scrape();
  }

  @Override
  public boolean handle(Request request, Response response, Callback callback) {
    try {
      switch (Request.getPathInContext(request)) {
        case "/v1/rank" -> {
          method(request, response, "POST");
          rank(request, response, callback);
        }
        case "/v1/model" -> {
          method(request, response, "GET");
          send(response, 200, JSON, Answers.model(policy.model()), callback);
        }
        case "/v1/model/reload" -> {
          method(request, response, "POST");
          send(response, 200, JSON, Answers.reloaded(look(), policy.model()), callback);
        }
        case "/health" -> {
          method(request, response, "GET");
          send(response, 200, JSON, Answers.status("live"), callback);
        }
        case "/ready" -> {
          method(request, response, "GET");
          boolean now = ready;
          byte[] said = Answers.status(now ? "ready" : "draining");
          send(response, now ? 200 : 503, JSON, said, callback);
        }
        case "/metrics" -> {
          method(request, response, "GET");
          byte[] scraped = metrics.scrape().getBytes(StandardCharsets.UTF_8);
          send(response, 200, TEXT, scraped, callback);
        }
        default ->
            throw new Refusal(
                404,
                "not_found",
                "path",
                "there is nothing at this path",
                "POST /v1/rank, GET /v1/model, POST /v1/model/reload, GET /health, /ready or"
                    + " /metrics");
      }
    } catch (Refusal refusal) {
      refuse(refusal, response, callback);
    } catch (IOException e) {
      callback.failed(e); // the client went away
    } catch (RuntimeException e) {
      LOG.error("a request failed", e);
      refuse(
          new Refusal(500, "internal", "", "the service failed", "see its log"),
          response,
          callback);
    }
    return true;
  }

  private void refuse(Refusal refusal, Response response, Callback callback) {
    metrics.refused(refusal.code());
    LOG.debug("refused: {} {}: {}", refusal.code(), refusal.place(), refusal.getMessage());
    if (refusal.status() == 503) {
      response.getHeaders().put(HttpHeader.RETRY_AFTER, RETRY_SECONDS);
    }
    if (refusal.status() == 408 || refusal.status() == 413) {
      response.getHeaders().put(HttpHeader.CONNECTION, "close"); // the rest is not read
    }
    send(response, refusal.status(), JSON, Answers.error(refusal), callback);
  }

  private static void method(Request request, Response response, String expected) throws Refusal {
    if (!request.getMethod().equals(expected)) {
      response.getHeaders().put(HttpHeader.ALLOW, expected);
      throw new Refusal(
          405,
          "method_not_allowed",
          "method",
          "this path takes no " + shown(request),
          "use " + expected);
    }
  }

  private static String shown(Request request) {
    String method = request.getMethod();
    return method.length() <= 16 ? method : method.substring(0, 16);
  }

  /** No thread waits until the client has taken it. */
  private static void send(
      Response response, int status, String type, byte[] body, Callback callback) {
    response.setStatus(status);
    response.getHeaders().put(HttpHeader.CONTENT_TYPE, type);
    response.write(true, ByteBuffer.wrap(body), callback);
  }

  private boolean look() throws Refusal {
    try {
      boolean another = reload.getAsBoolean();
      refusedBefore = null;
      if (another) {
        metrics.modelReloaded();
        LOG.info("model {} serves now", policy.model().version());
      }
      return another;
    } catch (RuntimeException e) {
      String reason = String.valueOf(e.getMessage());
      if (!reason.equals(refusedBefore)) { // each look says it again
        refusedBefore = reason;
        metrics.modelRefused();
        LOG.error("model {} keeps serving: {}", policy.model().version(), reason);
      }
      throw new Refusal(
          409,
          "model_refused",
          "model",
          String.valueOf(e.getMessage()),
          "model " + policy.model().version() + " keeps serving; export the policy again");
    }
  }

  /** Looks for another model; what keeps it from being served was logged and counted. */
  void poll() {
    try {
      look();
    } catch (Refusal e) {
      LOG.debug("refused at a look: {}", e.code());
    }
  }

  private void rank(Request request, Response response, Callback callback)
      throws Refusal, IOException {
    Work work = free.poll();
    if (work == null) {
      throw new Refusal(
          503,
          "too_many_requests",
          "",
          options.threads() + " requests are worked on already",
          "try again in " + RETRY_SECONDS + " s, or start the service with more --threads");
    }
    try {
      long start = System.nanoTime();
      int length = read(request, work);
      work.body.read(work.bytes, length);
      long begin = System.nanoTime();
      int shown = rank(work);
      long end = System.nanoTime();
      Boolean logged = log(work);
      work.answer.reset();
      Answers.page(work.answer, work.body, work.request, shown, logged);
      byte[] answer = work.answer.toByteArray();
      metrics.answered(
          System.nanoTime() - start, end - begin, work.body.candidates(), work.request.explored());
      send(response, 200, JSON, answer, callback);
    } finally {
      free.add(work);
    }
  }

  private int rank(Work work) throws Refusal {
    RankBody body = work.body;
    FusionPolicy.Request request = work.request;
    try {
      request.begin(body.requestId()).features(body.features());
      if (body.explore(options.explore())) {
        requireExplorable(request.model(), body);
        request.explore(options.seed());
      }
      return request.rank(body.scores(), 0, body.stride(), body.candidates(), body.size());
    } catch (IllegalArgumentException e) {
      throw new Refusal(
          400,
          "invalid_request",
          "features",
          String.valueOf(e.getMessage()),
          "send features in the units that the model was trained on");
    }
  }

  private void requireExplorable(PolicyModel model, RankBody body) throws Refusal {
    if (model.kind() == PolicyModel.Kind.PAIR_ACTOR || model.box().isEmpty()) {
      throw new Refusal(
          400,
          "not_explorable",
          "explore",
          "model " + model.version() + " acts on candidates or has no box to explore in",
          "send explore: false, or serve a model with a box");
    }
    if (log != null && !body.hasUser()) {
      throw new Refusal(
          400,
          "invalid_request",
          "user",
          "there is no 'user'",
          "send the user's number: explored requests are logged");
    }
  }

  /** Logs an explored request; null if there is nothing to log, or nowhere. */
  private Boolean log(Work work) {
    if (log == null || !work.request.explored()) {
      return null;
    }
    return log.append(work.request, work.body.user(), System.currentTimeMillis());
  }

  /** Reads the body into the work's memory; returns its length. */
  private int read(Request request, Work work) throws Refusal, IOException {
    String type = request.getHeaders().get(HttpHeader.CONTENT_TYPE);
    if (type == null || !type.toLowerCase(Locale.ROOT).startsWith(JSON)) {
      throw new Refusal(
          415,
          "unsupported_media_type",
          "header Content-Type",
          "the body is not said to be " + JSON,
          "send the header 'Content-Type: " + JSON + "'");
    }
    long announced = request.getLength();
    if (announced > options.maxBody()) {
      throw tooLarge("the body has " + announced + " bytes");
    }
    // While a body comes, silence is cut sooner: a silent client must not keep others out.
    EndPoint connection = request.getConnectionMetaData().getConnection().getEndPoint();
    connection.setIdleTimeout(
        Math.min(options.idleTimeout().toMillis(), options.requestTimeout().toMillis()));
    long deadline = System.nanoTime() + options.requestTimeout().toNanos();
    int length = 0;
    try (InputStream in = Content.Source.asInputStream(request)) {
      while (true) {
        if (length == work.bytes.length) {
          if (length == options.maxBody()) {
            if (in.read() >= 0) {
              throw tooLarge("the body has more than " + length + " bytes");
            }
            return length;
          }
          work.bytes = Arrays.copyOf(work.bytes, (int) Math.min(2L * length, options.maxBody()));
        }
        int read = in.read(work.bytes, length, work.bytes.length - length);
        if (read < 0) {
          return length;
        }
        length += read;
        if (System.nanoTime() - deadline > 0) {
          throw tooSlow(length);
        }
      }
    } catch (IOException e) {
      if (e.getCause() instanceof TimeoutException) {
        throw tooSlow(length);
      }
      throw e;
    } finally {
      connection.setIdleTimeout(options.idleTimeout().toMillis());
    }
  }

  private Refusal tooLarge(String found) {
    return new Refusal(
        413,
        "body_too_large",
        "body",
        found + ": at most " + options.maxBody() + " are taken",
        "send fewer candidates, or start the service with a larger --max-body");
  }

  private Refusal tooSlow(int length) {
    return new Refusal(
        408,
        "body_too_slow",
        "body",
        "only %d bytes of the body came in time (%s)"
            .formatted(length, RankServer.seconds(options.requestTimeout())),
        "send the body at once, or start the service with a longer --request-timeout");
  }
}
