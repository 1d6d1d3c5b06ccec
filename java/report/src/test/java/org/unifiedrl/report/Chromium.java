package org.unifiedrl.report;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;

/** A headless browser with one page, driven by the DevTools protocol. */
final class Chromium implements AutoCloseable {

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final int SECONDS = 60;

  private final Process process;
  private final WebSocket socket;
  private final AtomicInteger ids = new AtomicInteger();
  private final Map<Integer, CompletableFuture<JsonNode>> answers = new ConcurrentHashMap<>();
  private final List<JsonNode> events = new CopyOnWriteArrayList<>();
  private String session;

  private Chromium(Path program, Path profile) throws IOException, InterruptedException {
    List<String> command = new ArrayList<>(List.of(program.toString(), "--headless"));
    command.addAll(
        List.of(
            "--no-sandbox", // tests may run as root, and load their own page only
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--remote-debugging-port=0",
            "--user-data-dir=" + profile,
            "about:blank"));
    process =
        new ProcessBuilder(command)
            .redirectErrorStream(true)
            .redirectOutput(profile.resolveSibling("chromium.log").toFile())
            .start();
    Path port = profile.resolve("DevToolsActivePort");
    for (int i = 0; i < SECONDS * 20 && !(Files.exists(port) && Files.size(port) > 0); i++) {
      if (!process.isAlive()) {
        throw new IOException(Files.readString(profile.resolveSibling("chromium.log")));
      }
      Thread.sleep(50);
    }
    List<String> lines = Files.readAllLines(port);
    socket =
        HttpClient.newHttpClient()
            .newWebSocketBuilder()
            .buildAsync(URI.create("ws://127.0.0.1:" + lines.get(0) + lines.get(1)), new Listener())
            .join();
    ObjectNode blank = JSON.createObjectNode().put("url", "about:blank");
    String target = call("Target.createTarget", blank).path("targetId").asText();
    ObjectNode attach = JSON.createObjectNode().put("targetId", target).put("flatten", true);
    session = call("Target.attachToTarget", attach).path("sessionId").asText();
    for (String domain : List.of("Page", "Runtime", "Network", "Log")) {
      call(domain + ".enable", JSON.createObjectNode());
    }
  }

  /** Starts the browser that the system has; empty if it has none. */
  static Optional<Chromium> start(Path profile) throws IOException, InterruptedException {
    Optional<Path> program =
        Stream.of(System.getenv("PATH").split(File.pathSeparator))
            .flatMap(
                folder -> Stream.of("chromium", "chromium-browser").map(n -> Path.of(folder, n)))
            .filter(Files::isExecutable)
            .findFirst();
    return program.isEmpty() ? Optional.empty() : Optional.of(new Chromium(program.get(), profile));
  }

  /** Parts of messages are put together, whole ones are answers or events. */
  private final class Listener implements WebSocket.Listener {
    private final StringBuilder parts = new StringBuilder();

    @Override
    public CompletionStage<?> onText(WebSocket from, CharSequence data, boolean last) {
      parts.append(data);
      if (last) {
        try {
          JsonNode message = JSON.readTree(parts.toString());
          CompletableFuture<JsonNode> answer = answers.remove(message.path("id").asInt());
          if (answer == null) {
            events.add(message);
          } else if (message.has("error")) {
            answer.completeExceptionally(new IOException(message.path("error").toString()));
          } else {
            answer.complete(message.path("result"));
          }
        } catch (IOException e) {
          throw new IllegalStateException(e);
        }
        parts.setLength(0);
      }
      from.request(1);
      return null;
    }
  }

  private JsonNode call(String method, ObjectNode parameters) {
    int id = ids.incrementAndGet();
    ObjectNode message = JSON.createObjectNode().put("id", id).put("method", method);
    message.set("params", parameters);
    if (session != null) {
      message.put("sessionId", session);
    }
    CompletableFuture<JsonNode> answer = new CompletableFuture<>();
    answers.put(id, answer);
    socket.sendText(message.toString(), true).join();
    try {
      return answer.get(SECONDS, TimeUnit.SECONDS);
    } catch (Exception e) {
      throw new IllegalStateException(method + " failed", e);
    }
  }

  /**
   * Opens a page.
   *
   * @param scheme light or dark
   */
  void open(Path page, String scheme, int width, int height, boolean script)
      throws InterruptedException, TimeoutException {
    events.clear();
    ObjectNode size = JSON.createObjectNode().put("width", width).put("height", height);
    call(
        "Emulation.setDeviceMetricsOverride",
        size.put("deviceScaleFactor", 1).put("mobile", width < 500));
    ObjectNode media = JSON.createObjectNode();
    media.putArray("features").addObject().put("name", "prefers-color-scheme").put("value", scheme);
    call("Emulation.setEmulatedMedia", media);
    call("Emulation.setScriptExecutionDisabled", JSON.createObjectNode().put("value", !script));
    call("Page.navigate", JSON.createObjectNode().put("url", page.toUri().toString()));
    for (int i = 0; heard("Page.loadEventFired").isEmpty(); i++) {
      if (i > SECONDS * 50) {
        throw new TimeoutException("the page did not load");
      }
      Thread.sleep(20);
    }
  }

  /** Events of a kind since the page was opened. */
  List<JsonNode> heard(String method) {
    return events.stream().filter(event -> event.path("method").asText().equals(method)).toList();
  }

  /** Value of an expression in the page, or of what it promises. */
  JsonNode evaluate(String expression) {
    ObjectNode parameters = JSON.createObjectNode().put("expression", expression);
    JsonNode result =
        call("Runtime.evaluate", parameters.put("returnByValue", true).put("awaitPromise", true));
    if (result.has("exceptionDetails")) {
      throw new IllegalStateException(expression + ": " + result.path("exceptionDetails"));
    }
    return result.path("result").path("value");
  }

  /** Moves the pointer. */
  void point(double x, double y) {
    call(
        "Input.dispatchMouseEvent",
        JSON.createObjectNode().put("type", "mouseMoved").put("x", x).put("y", y));
  }

  /** Saves what is seen, or the whole page. */
  void screenshot(Path file, boolean whole) throws IOException {
    ObjectNode parameters = JSON.createObjectNode().put("captureBeyondViewport", whole);
    if (whole) {
      JsonNode size = call("Page.getLayoutMetrics", JSON.createObjectNode()).path("cssContentSize");
      ObjectNode clip = parameters.putObject("clip");
      clip.put("x", 0).put("y", 0).put("scale", 1);
      clip.put("width", size.path("width").asDouble());
      clip.put("height", size.path("height").asDouble());
    }
    String data = call("Page.captureScreenshot", parameters).path("data").asText();
    Files.write(file, Base64.getDecoder().decode(data));
  }

  @Override
  public void close() {
    socket.abort();
    // Its children write into the profile until they end.
    List<ProcessHandle> all = process.descendants().toList();
    process.destroy();
    process.onExit().orTimeout(SECONDS, TimeUnit.SECONDS).join();
    all.forEach(child -> child.onExit().orTimeout(SECONDS, TimeUnit.SECONDS).join());
  }
}
