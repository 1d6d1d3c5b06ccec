package org.unifiedrl.serve;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.BindException;
import java.net.InetSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.time.Duration;
import java.util.Random;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import org.eclipse.jetty.server.HttpConfiguration;
import org.eclipse.jetty.server.HttpConnectionFactory;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.server.handler.GracefulHandler;
import org.eclipse.jetty.util.thread.QueuedThreadPool;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.unifiedrl.mtf.serving.FusionPolicy;
import org.unifiedrl.mtf.serving.PolicyModel;
import org.unifiedrl.mtf.serving.ServingLog;

/**
 * An HTTP service that ranks by a policy.
 *
 * <p>{@code POST /v1/rank} ranks; {@code GET /v1/model} says what the model wants; {@code POST
 * /v1/model/reload} looks at the model's file now; {@code GET /health}, {@code /ready} and {@code
 * /metrics} are for those who run it. It listens on loopback unless told otherwise, speaks plain
 * HTTP and asks nobody who he is: what else is needed belongs in front of it.
 *
 * <p>The policy must have been opened with {@link FusionPolicy.Shape#SAME}: requests are read by
 * the names of the model that served first. Safe for all threads.
 */
public final class RankServer implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(RankServer.class);

  /** Beside those that rank: for selecting, accepting, refusing, health and metrics. */
  private static final int FURTHER_THREADS = 8;

  private static final int WARM_UP = 3000;

  private final Server server;
  private final InetSocketAddress address;
  private final RankHandler handler;
  private final ScheduledExecutorService poller;

  private RankServer(
      Server server,
      InetSocketAddress address,
      RankHandler handler,
      ScheduledExecutorService poller) {
    this.server = server;
    this.address = address;
    this.handler = handler;
    this.poller = poller;
  }

  /**
   * Starts a service; it is ready when this returns.
   *
   * @param log where explored requests go, null for nowhere; the caller closes it, after this
   * @param reload looks for another model and serves it, as {@link FusionPolicy#reload}; returns
   *     whether there was one, throws what keeps it from being served
   * @throws UncheckedIOException naming host and port, if they cannot be listened on
   */
  public static RankServer start(
      FusionPolicy policy, ServingLog log, BooleanSupplier reload, ServeOptions options) {
    warmUp(policy);
    QueuedThreadPool threads =
        new QueuedThreadPool(options.threads() + FURTHER_THREADS, Math.min(8, options.threads()));
    threads.setName("unifiedrl-serve");
    Server server = new Server(threads);
    HttpConfiguration http = new HttpConfiguration();
    http.setRequestHeaderSize(options.maxHeader());
    http.setSendServerVersion(false);
    http.setSendDateHeader(false);
    ServerConnector connector = new ServerConnector(server, 1, 1, new HttpConnectionFactory(http));
    connector.setHost(options.host());
    connector.setPort(options.port());
    connector.setIdleTimeout(options.idleTimeout().toMillis());
    server.addConnector(connector);
    RankHandler handler = new RankHandler(policy, log, reload, options);
    server.setHandler(new GracefulHandler(handler));
    server.setErrorHandler(new JsonErrors());
    server.setStopTimeout(options.drainTimeout().toMillis());
    try {
      server.start();
    } catch (Exception e) {
      stop(server);
      throw new UncheckedIOException(
          cannotListen(options, e), e instanceof IOException io ? io : new IOException(e));
    }
    ScheduledExecutorService poller = null;
    if (!options.poll().isZero()) {
      poller = Executors.newSingleThreadScheduledExecutor(RankServer::pollerThread);
      long nanos = options.poll().toNanos();
      // Ends with the poller; what a look throws is caught in it.
      var unused = poller.scheduleWithFixedDelay(handler::poll, nanos, nanos, TimeUnit.NANOSECONDS);
    }
    handler.setReady(true);
    return new RankServer(server, address(connector), handler, poller);
  }

  /** Where it listens in truth, which is not always what was asked for. */
  private static InetSocketAddress address(ServerConnector connector) {
    try {
      return (InetSocketAddress) ((ServerSocketChannel) connector.getTransport()).getLocalAddress();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static String cannotListen(ServeOptions options, Exception e) {
    Throwable cause = e;
    while (cause.getCause() != null && !(cause instanceof BindException)) {
      cause = cause.getCause();
    }
    return "cannot listen on %s port %d: %s; choose another --host or --port (0: any free port)"
        .formatted(options.host(), options.port(), cause.getMessage());
  }

  private static Thread pollerThread(Runnable task) {
    Thread thread = new Thread(task, "unifiedrl-serve-model");
    thread.setDaemon(true);
    return thread;
  }

  /** Has the policy's loops compiled before the first request waits for it. */
  private static void warmUp(FusionPolicy policy) {
    PolicyModel model = policy.model();
    Random random = new Random(1);
    float[] features = new float[model.stateSize()];
    for (int i = 0; i < features.length; i++) {
      float deviation = 1 / model.scale()[i];
      features[i] = model.shift()[i] + deviation * (2 * random.nextFloat() - 1);
    }
    int candidates = 100;
    float[] scores = new float[model.scores() * candidates];
    for (int i = 0; i < scores.length; i++) {
      scores[i] = random.nextFloat();
    }
    FusionPolicy.Request request = policy.request();
    int rounds = model.kind() == PolicyModel.Kind.PAIR_ACTOR ? WARM_UP / candidates : WARM_UP;
    for (int i = 0; i < rounds; i++) {
      request.begin(i).features(features).rank(scores, candidates, 10);
    }
  }

  /** The address that it listens on. */
  public InetSocketAddress address() {
    return address;
  }

  /** What {@code /metrics} says. */
  public String metrics() {
    return handler.metrics();
  }

  /** Waits until the service was closed. */
  public void join() throws InterruptedException {
    server.join();
  }

  /**
   * Ends the service gracefully: {@code /ready} says no, new requests are refused, those in flight
   * are waited for, as long as the options say. Closing again does nothing.
   */
  @Override
  public void close() {
    handler.setReady(false);
    if (poller != null) {
      poller.shutdown();
    }
    stop(server);
  }

  private static void stop(Server server) {
    try {
      server.stop();
    } catch (Exception e) {
      LOG.warn("not all requests ended in time: {}", e.toString());
    }
  }

  /** The time that is left of a limit, for messages. */
  static String seconds(Duration limit) {
    return limit.toMillis() / 1000.0 + " s";
  }
}
