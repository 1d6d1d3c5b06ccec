package org.unifiedrl.mtf.serving;

import java.io.IOException;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;
import java.util.List;
import org.unifiedrl.engine.checkpoint.CheckpointException;
import org.unifiedrl.mtf.fusion.Fusion;

/**
 * A trained policy in a ranking service: from a user's features to the powers and biases of the
 * fusion formula, to the candidates' fused scores, to the page.
 *
 * <pre>{@code
 * FusionPolicy policy = FusionPolicy.open(Path.of("policy.safetensors"));
 * FusionPolicy.Request request = policy.request(); // one a thread, used again and again
 *
 * int shown = request.begin(requestId).features(features).rank(scores, candidates, 10);
 * for (int place = 0; place < shown; place++) {
 *   show(request.page()[place]);
 * }
 * }</pre>
 *
 * <p>Pure Java: it loads no native library and starts no thread. A request allocates nothing once
 * it has seen its largest number of candidates.
 *
 * <p><b>Threads.</b> A policy may be used by any number of threads, without locks; a {@link
 * Request} by one at a time. Models are swapped while requests run: a request sees the model of its
 * {@link Request#begin} to its end. Swaps take turns.
 *
 * <p><b>Determinism.</b> The same model, features, seed and request id give the same action, box,
 * density and page, whatever the thread, the order or the machine.
 */
public final class FusionPolicy {

  /** Which models may follow another. */
  public enum Shape {
    /**
     * Those that callers need not know of: of the same state and score names in the same order,
     * that act on the same thing, a request or a candidate, and have a box if the one before has.
     */
    SAME,
    /** Any; callers look at {@link Request#model()} before they send features. */
    ANY
  }

  /** What tells a file from the one that was there before. */
  private record Stamp(FileTime modified, long size, Object key) {
    static Stamp of(Path file) {
      try {
        BasicFileAttributes found = Files.readAttributes(file, BasicFileAttributes.class);
        return new Stamp(found.lastModifiedTime(), found.size(), found.fileKey());
      } catch (IOException e) {
        throw new CheckpointException("cannot read the policy " + file + ": " + e, e);
      }
    }
  }

  private final Path file; // null if it came as a value
  private final Shape shape;
  private Stamp seen; // guarded by this
  private CheckpointException refused; // what kept that file from being served; guarded by this
  private volatile LoadedModel current;

  private FusionPolicy(Path file, Stamp seen, PolicyModel model, Shape shape) {
    this.file = file;
    this.seen = seen;
    this.shape = shape;
    current = new LoadedModel(model);
  }

  /** Serves a model; those that follow it have its names. */
  public static FusionPolicy of(PolicyModel model) {
    return of(model, Shape.SAME);
  }

  /** Serves a model. */
  public static FusionPolicy of(PolicyModel model, Shape shape) {
    return new FusionPolicy(null, null, model, shape);
  }

  /**
   * Reads a model and serves it; those that follow it have its names.
   *
   * @param path the file, or a folder that holds {@value PolicyModel#FILE}
   * @throws CheckpointException if it cannot be read, is torn or altered, or makes no sense
   */
  public static FusionPolicy open(Path path) {
    return open(path, Shape.SAME);
  }

  /** Reads a model and serves it, as {@link #open(Path)}. */
  public static FusionPolicy open(Path path, Shape shape) {
    Path file = Files.isDirectory(path) ? path.resolve(PolicyModel.FILE) : path;
    Stamp stamp = Stamp.of(file); // before it is read: what is written after that is read again
    return new FusionPolicy(file, stamp, PolicyModel.read(file), shape);
  }

  /** The model that requests which begin now are served by. */
  public PolicyModel model() {
    return current.model;
  }

  /**
   * Serves another model from now on: requests that began before end with theirs.
   *
   * @throws IllegalArgumentException saying what differs, under {@link Shape#SAME}; the old model
   *     then keeps serving
   */
  public synchronized void swap(PolicyModel model) {
    if (shape == Shape.SAME) {
      requireSame("state_names", current.model.stateNames(), model.stateNames());
      requireSame("score_names", current.model.scoreNames(), model.scoreNames());
      LoadedModel served = current;
      if (served.pairwise() != (model.kind() == PolicyModel.Kind.PAIR_ACTOR)) {
        throw new IllegalArgumentException(
            "the new model is of kind %s, and kind %s is served: open the policy with Shape.ANY"
                .formatted(model.kind(), served.model.kind()));
      }
      if (served.model.box().isPresent() && model.box().isEmpty()) {
        throw new IllegalArgumentException(
            "the new model has no box to explore in, and the served one has: give it one with"
                + " PolicyModel.withBox, or open the policy with Shape.ANY");
      }
    }
    current = new LoadedModel(model);
  }

  private static void requireSame(String key, List<String> served, List<String> found) {
    int count = Math.min(served.size(), found.size());
    for (int i = 0; i < count; i++) {
      if (!served.get(i).equals(found.get(i))) {
        throw new IllegalArgumentException(
            "%s[%d] of the new model is '%s', and '%s' is served: train it on the same names, or open the policy with Shape.ANY"
                .formatted(key, i, found.get(i), served.get(i)));
      }
    }
    if (served.size() != found.size()) {
      throw new IllegalArgumentException(
          "the new model has %d %s, and %d are served: train it on the same names, or open the policy with Shape.ANY"
              .formatted(found.size(), key, served.size()));
    }
  }

  /**
   * Reads a model and serves it from now on.
   *
   * @throws CheckpointException if it cannot be served; the old model then keeps serving
   */
  public void swap(Path path) {
    PolicyModel model = PolicyModel.read(path);
    try {
      swap(model);
    } catch (IllegalArgumentException e) {
      throw new CheckpointException(path + " cannot be served: " + e.getMessage(), e);
    }
  }

  /**
   * Serves what now stands in the file that was opened, if it is another model. Cheap when the file
   * has not changed, so that a service may call it every few seconds, from a thread of its own.
   *
   * @return whether another model serves now
   * @throws CheckpointException if what stands there cannot be served: the old model keeps serving.
   *     A file that was refused is not read again, and each call says so until it changes
   * @throws IllegalStateException if the policy was not opened from a file
   */
  public synchronized boolean reload() {
    if (file == null) {
      throw new IllegalStateException(
          "this policy came as a value and has no file to look at: open it from one, or use swap");
    }
    Stamp stamp = Stamp.of(file);
    if (stamp.equals(seen)) {
      if (refused != null) {
        throw new CheckpointException(refused.getMessage(), refused);
      }
      return false;
    }
    seen = stamp;
    refused = null;
    String before = current.digest;
    try {
      swap(file);
    } catch (CheckpointException e) {
      refused = e;
      throw e;
    }
    return !current.digest.equals(before);
  }

  /** Memory for one request at a time, to be used for many. */
  public Request request() {
    return new Request(this);
  }

  /**
   * One request after the other: {@link #begin}, {@link #features}, then {@link #act} or {@link
   * #explore}, then {@link #rank}; {@code rank} acts by itself where that was left out. Arrays that
   * are handed out hold what the last call computed, until the next {@code begin}; they are not to
   * be changed.
   */
  public static final class Request {

    private enum Stage {
      NONE,
      BEGUN,
      FEATURES,
      ACTED
    }

    private final FusionPolicy policy;
    private final long[] id = new long[1];
    private final int[] users = new int[1];
    private final float[] logDensity = new float[1];
    private Stage stage = Stage.NONE;
    private boolean explored;
    private LoadedModel loaded;
    private LoadedModel.Scratch scratch;
    private float[] state;
    private float[] served;
    private float[] action;
    private float[] low;
    private float[] high;
    private float[] powers;
    private float[] biases;
    private float[] pairs = new float[0];
    private float[] best = new float[0]; // fused scores of the page's candidates, at their indices
    private float[] fused = new float[0];
    private boolean isFused;
    private float[] ranked;
    private int rankedOffset;
    private int rankedStride;
    private int rankedCount;
    private float[] row = new float[0];
    private int[] page = new int[0];

    private Request(FusionPolicy policy) {
      this.policy = policy;
      take(policy.current);
    }

    private void take(LoadedModel model) {
      if (loaded == null || loaded.states != model.states || loaded.actions != model.actions) {
        state = new float[model.states];
        served = new float[model.actions];
        action = new float[model.actions];
        low = new float[model.actions];
        high = new float[model.actions];
        powers = new float[model.scores];
        biases = new float[model.scores];
      }
      loaded = model;
      scratch = model.scratch();
    }

    /**
     * Begins a request, with the model that serves now.
     *
     * @param requestId key of its exploration, and of its row in the log
     */
    public Request begin(long requestId) {
      LoadedModel now = policy.current;
      if (now != loaded) {
        take(now);
      }
      id[0] = requestId;
      explored = false;
      ranked = null;
      stage = Stage.BEGUN;
      return this;
    }

    /**
     * Sets the S state features.
     *
     * @param values copied
     * @throws IllegalArgumentException naming the feature that is not finite, or the number of
     *     values
     */
    public Request features(float[] values) {
      require(Stage.BEGUN, "features");
      checkCount(values.length);
      System.arraycopy(values, 0, state, 0, state.length);
      return seen();
    }

    /**
     * Sets the S state features, from the buffer's position on; the position does not move.
     *
     * @throws IllegalArgumentException as {@link #features(float[])}
     */
    public Request features(FloatBuffer values) {
      require(Stage.BEGUN, "features");
      checkCount(values.remaining());
      values.get(values.position(), state);
      return seen();
    }

    private void checkCount(int found) {
      if (found != state.length) {
        throw new IllegalArgumentException(
            "got "
                + found
                + " features: the model has "
                + state.length
                + ", from '"
                + loaded.model.stateNames().get(0)
                + "' to '"
                + loaded.model.stateNames().get(state.length - 1)
                + "'");
      }
    }

    private Request seen() {
      for (int i = 0; i < state.length; i++) {
        if (!Float.isFinite(state[i])) {
          throw new IllegalArgumentException(
              "feature '"
                  + loaded.model.stateNames().get(i)
                  + "' is "
                  + state[i]
                  + ": send a finite number");
        }
      }
      scratch.see(state);
      stage = Stage.FEATURES;
      return this;
    }

    /**
     * Computes the served action, its powers and biases.
     *
     * @throws IllegalStateException before {@link #features}, or if the policy acts on candidates
     * @throws IllegalArgumentException if features are so large that the networks overflow
     */
    public Request act() {
      require(Stage.FEATURES, "act");
      if (loaded.pairwise()) {
        throw new IllegalStateException(
            "a policy of kind " + loaded.model.kind() + " acts on candidates: call rank");
      }
      scratch.act(served);
      checkAction(served, 0);
      System.arraycopy(served, 0, action, 0, action.length);
      acted();
      return this;
    }

    /**
     * Computes the served action and draws another in the model's box around it, uniformly; that
     * one then ranks.
     *
     * @param seed key of the service's exploration; with the request's id it decides the draw
     * @throws IllegalStateException as {@link #act}, or if the model has no box
     */
    public Request explore(long seed) {
      if (loaded.explorer == null && stage == Stage.FEATURES) {
        throw new IllegalStateException(
            "model "
                + loaded.model.version()
                + " has no box to explore in: give it one with PolicyModel.withBox");
      }
      act();
      loaded.explorer.explore(seed, users, id, id, 1, served, action, low, high, logDensity);
      explored = true;
      acted();
      return this;
    }

    private void acted() {
      for (int i = 0; i < powers.length; i++) {
        powers[i] = (float) loaded.model.actionMap().power(i, action[i]);
        biases[i] = (float) loaded.model.actionMap().bias(i, action[powers.length + i]);
      }
      stage = Stage.ACTED;
    }

    private void checkAction(float[] actions, int at) {
      for (int k = at; k < at + loaded.actions; k++) {
        if (Float.isNaN(actions[k])) {
          int farthest = scratch.farthest();
          throw new IllegalArgumentException(
              "the model's networks overflow: feature '"
                  + loaded.model.stateNames().get(farthest)
                  + "' is "
                  + state[farthest]
                  + ", farthest from what it was trained on; send features in their usual units");
        }
      }
    }

    /**
     * Fuses scores and picks a page.
     *
     * @param scores row-major [k, candidates], in the order of the model's score names: all of
     *     score 0 first. A candidate with a score that is NaN is never picked
     * @param candidates number n of candidates
     * @param size most candidates to pick
     * @return number picked, whose indices are {@code page()[0 .. returned - 1]}, best first
     */
    public int rank(float[] scores, int candidates, int size) {
      return rank(scores, 0, candidates, candidates, size);
    }

    /**
     * Fuses scores that lie in a larger array, and picks a page.
     *
     * @param offset position of score 0 of candidate 0
     * @param stride distance between the rows of two scores, at least {@code candidates}
     * @throws IllegalArgumentException if the array is too short
     * @throws IllegalStateException before {@link #features}
     */
    public int rank(float[] scores, int offset, int stride, int candidates, int size) {
      if (stage != Stage.ACTED) {
        require(Stage.FEATURES, "rank");
        if (!loaded.pairwise()) {
          act();
        }
      }
      long last = offset + (long) (loaded.scores - 1) * stride + candidates;
      if (candidates < 0 || size < 0 || offset < 0 || stride < candidates || last > scores.length) {
        throw new IllegalArgumentException(
            "got "
                + scores.length
                + " scores: "
                + candidates
                + " candidates of "
                + loaded.scores
                + " scores from "
                + offset
                + " on, rows "
                + stride
                + " apart, and a page of "
                + size
                + " need "
                + last
                + ", no negative number, and rows that do not overlap");
      }
      int shown = Math.min(size, candidates);
      if (page.length < shown) {
        page = new int[shown];
      }
      ranked = scores;
      rankedOffset = offset;
      rankedStride = stride;
      rankedCount = candidates;
      isFused = loaded.pairwise();
      if (isFused) {
        grow();
        rankPairs(scores, offset, stride, candidates);
        return Fusion.top(fused, candidates, shown, page);
      }
      if (best.length < candidates) {
        best = new float[candidates];
      }
      return loaded.fusion.rank(scores, offset, stride, candidates, action, 0, shown, best, page);
    }

    private void grow() {
      if (fused.length < rankedCount) {
        fused = new float[rankedCount];
      }
    }

    private void rankPairs(float[] scores, int offset, int stride, int candidates) {
      int actions = loaded.actions;
      if (pairs.length < candidates * actions) {
        pairs = new float[Math.multiplyExact(candidates, actions)];
      }
      for (int c = 0; c < candidates; c++) {
        scratch.actOn(scores, offset + c, stride, pairs, c * actions);
        if (!hasNaN(scores, offset + c, stride)) {
          checkAction(pairs, c * actions);
        }
      }
      loaded.fusion.fuseEach(scores, offset, stride, candidates, pairs, 0, fused);
    }

    private boolean hasNaN(float[] scores, int at, int stride) {
      boolean any = false;
      for (int i = 0; i < loaded.scores; i++) {
        any |= Float.isNaN(scores[at + i * stride]);
      }
      return any;
    }

    private void require(Stage needed, String call) {
      if (stage != needed) {
        throw new IllegalStateException(
            call + " was called at stage " + stage + ": begin, features, act or explore, rank");
      }
    }

    /** The request's id. */
    public long id() {
      return id[0];
    }

    /** The model that this request is served by. */
    public PolicyModel model() {
      return loaded.model;
    }

    /** Whether the action was drawn by {@link #explore}. */
    public boolean explored() {
      return explored;
    }

    /** The S state features. */
    public float[] features() {
      return state;
    }

    /** The action that ranks: the served one, or the one drawn around it; A values in [-1, 1]. */
    public float[] action() {
      requireActed();
      return action;
    }

    /** The action without exploration, A values. */
    public float[] servedAction() {
      requireActed();
      return served;
    }

    /** Powers of the action, k values. */
    public float[] powers() {
      requireActed();
      return powers;
    }

    /** Biases of the action, k values. */
    public float[] biases() {
      requireActed();
      return biases;
    }

    private void requireActed() {
      if (stage != Stage.ACTED) {
        throw new IllegalStateException(
            loaded.pairwise()
                ? "a policy of kind " + loaded.model.kind() + " has no action of a request"
                : "there is no action at stage " + stage + ": call act, explore or rank first");
      }
    }

    /** Lower edge of the box that the action was drawn from, A values. */
    public float[] boxLow() {
      requireExplored();
      return low;
    }

    /** Upper edge of the box that the action was drawn from, A values. */
    public float[] boxHigh() {
      requireExplored();
      return high;
    }

    /** Natural logarithm of the density that the action was drawn with. */
    public float logDensity() {
      requireExplored();
      return logDensity[0];
    }

    private void requireExplored() {
      if (!explored) {
        throw new IllegalStateException("this request was not explored: call explore, not act");
      }
    }

    /**
     * Fused scores of all candidates, in log space, n values or more. {@link #rank} does not need
     * them: they are computed here, from the scores that it was given, which must not have changed.
     *
     * @throws IllegalStateException before {@link #rank}
     */
    public float[] fused() {
      if (ranked == null) {
        throw new IllegalStateException("call rank before fused");
      }
      if (!isFused) {
        grow();
        loaded.fusion.fuse(ranked, rankedOffset, rankedStride, rankedCount, action, 0, fused);
        isFused = true;
      }
      return fused;
    }

    /**
     * Fused score of a picked candidate, in log space.
     *
     * @param place in {@link #page}, from 0
     */
    public float score(int place) {
      return isFused ? fused[page[place]] : best[page[place]];
    }

    /** Indices of the picked candidates, best first, as many as {@link #rank} returned. */
    public int[] page() {
      return page;
    }

    /** Memory for a row of a log. */
    float[] row(int width) {
      if (row.length != width) {
        row = new float[width];
      }
      return row;
    }

    LoadedModel loaded() {
      return loaded;
    }
  }
}
