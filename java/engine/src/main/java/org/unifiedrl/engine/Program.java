package org.unifiedrl.engine;

import java.util.ArrayList;
import java.util.List;
import org.unifiedrl.engine.TensorRef.Kind;

/**
 * A training step as a straight-line list of operations over named tensors and networks. Each
 * method appends one operation, checks its shapes at once, and returns the tensors that it makes;
 * the engine checks everything again when it is created. There is no automatic differentiation: an
 * algorithm writes its backward calls down.
 *
 * <p>Tensors are [members, rows, columns] = [E, B, F]. A program is plain data: it needs no
 * closing, and may be given to several engines. Not for several threads at a time.
 */
public final class Program {

  /** Column number of the last-of-session flag, read as 0 or 1. */
  public static final int LAST_COLUMN = -2;

  private static final int NONE = -1;

  // Codes of ops that are looked for again.
  private static final int MLP_FORWARD = 4;
  private static final int MLP_BACKWARD = 5;
  private static final int MLP_BACKWARD_INPUT = 6;
  private static final int ADAM = 14;
  private static final int MLP_BACKWARD_TANGENT = 37;

  /** One appended operation, as the C ABI takes it. */
  record Op(String name, int code, int[] tensors, int[] networks, long[] integers, int[] hypers) {}

  /**
   * A forward pass and what its backward passes need.
   *
   * @param network the network
   * @param x input [1 or E, B, in]
   * @param y output [E, B, out]
   * @param tape hidden activations, or null
   */
  public record Forward(NetworkRef network, TensorRef x, TensorRef y, TensorRef tape) {}

  /**
   * Squared error and its gradient.
   *
   * @param gradient with respect to q, [E, B, 1]
   * @param loss mean over rows, [E, 1, 1]
   */
  public record SquaredError(TensorRef gradient, TensorRef loss) {}

  /**
   * Ensemble objective.
   *
   * @param gradient with respect to q, [E, B, 1]
   * @param mean of each group, [1, B, G]
   * @param deviation population standard deviation of each group, [1, B, G]
   */
  public record EnsembleObjective(TensorRef gradient, TensorRef mean, TensorRef deviation) {}

  /**
   * Box penalty.
   *
   * @param gradient of eta times the mean penalty with respect to the action, [1, B, A]
   * @param distance penalty d without eta, [1, B, 1]
   * @param inside 1 where every dimension is in its box, [1, B, 1]
   */
  public record BoxPenalty(TensorRef gradient, TensorRef distance, TensorRef inside) {}

  /**
   * Something and its derivative with respect to what it was formed from.
   *
   * @param value the result
   * @param derivative of the result, of the input's shape
   */
  public record WithDerivative(TensorRef value, TensorRef derivative) {}

  /**
   * Draw from a diagonal Gaussian, and what its backward pass needs.
   *
   * @param head (mean, log standard deviation) [E, B, 2A]
   * @param noise standard normal [E, B, A]
   * @param action [E, B, A]
   * @param logProbability of the action, [E, B, 1]
   * @param squash whether the action went through tanh
   * @param low smallest log standard deviation
   * @param high largest log standard deviation
   */
  public record GaussianSample(
      TensorRef head,
      TensorRef noise,
      TensorRef action,
      TensorRef logProbability,
      boolean squash,
      HyperRef low,
      HyperRef high) {}

  /**
   * Layer normalisation, and what its backward pass needs.
   *
   * @param affine gain and bias, a linear network of the sizes (1, F)
   * @param x input [E, B, F]
   * @param y output [E, B, F]
   * @param statistics mean and inverse deviation of each row, [E, B, 2]
   * @param relu whether max(x, 0) was normalised
   */
  public record LayerNorm(
      NetworkRef affine, TensorRef x, TensorRef y, TensorRef statistics, boolean relu) {}

  /** How {@link #rowReduce} reduces. */
  public enum Reduction {
    SUM(0),
    MEAN(1),
    MAX(2),
    LOG_SUM_EXP(3);

    private final int code;

    Reduction(int code) {
      this.code = code;
    }
  }

  /**
   * Settings of {@link #adam}.
   *
   * @param rate learning rate, at least 0
   * @param beta1 decay of the first moment, in [0, 1)
   * @param beta2 decay of the second moment, in [0, 1)
   * @param epsilon above 0
   * @param decay decoupled weight decay, at least 0
   * @param clip largest gradient norm of a member; 0 does not clip
   */
  public record AdamHypers(
      HyperRef rate,
      HyperRef beta1,
      HyperRef beta2,
      HyperRef epsilon,
      HyperRef decay,
      HyperRef clip) {}

  private final List<TensorRef> tensors = new ArrayList<>();
  private final List<NetworkRef> networks = new ArrayList<>();
  private final List<HyperRef> hypers = new ArrayList<>();
  private final List<Op> ops = new ArrayList<>();
  private final List<String> metrics = new ArrayList<>();

  /** Adds a tensor that the caller writes with {@link Engine#writeTensor}; zero at first. */
  public TensorRef constant(String name, int members, int rows, int columns) {
    return tensor(name, Kind.CONSTANT, members, rows, columns);
  }

  /**
   * Adds an ensemble of multi-layer perceptrons.
   *
   * @param members ensemble members E, at least 1
   * @param activation of the last layer
   * @param sizes inputs, hidden units, outputs: 2 to 8 values, each at least 1
   */
  public NetworkRef network(String name, int members, Activation activation, int... sizes) {
    if (sizes.length < 2 || sizes.length > 8) {
      throw wrong("network '" + name + "' has " + sizes.length + " sizes; 2 to 8 are needed");
    }
    List<Integer> boxed = new ArrayList<>();
    for (int size : sizes) {
      requirePositive("a size of network '" + name + "'", size);
      boxed.add(size);
    }
    requirePositive("members of network '" + name + "'", members);
    NetworkRef network = new NetworkRef(networks.size(), name, members, boxed, activation);
    networks.add(network);
    return network;
  }

  /** Adds a hyper-parameter with its first value; {@link Engine#setHyper} changes it. */
  public HyperRef hyper(String name, double value) {
    if (!Double.isFinite(value)) {
      throw wrong("hyper-parameter '" + name + "' is " + value + "; it must be finite");
    }
    HyperRef hyper = new HyperRef(hypers.size(), name, value);
    hypers.add(hyper);
    return hyper;
  }

  /** Draws {@code rows} replay rows uniformly; {@code stream} separates draws of one step. */
  public TensorRef sample(String name, int rows, int stream) {
    TensorRef out = tensor(name, Kind.ROWS, 1, rows, 1);
    op(name, 1, tensorIds(out), new NetworkRef[0], new long[] {stream});
    return out;
  }

  /**
   * Reads a replay column at drawn rows: (value - shift) * scale.
   *
   * @param rows from {@link #sample}
   * @param column number in the replay, or {@link #LAST_COLUMN}
   * @param width of the column
   * @param next true for the following row; rows that end their session read their own row then
   * @param shift [1, 1, width] or null
   * @param scale [1, 1, width] or null
   * @return [1, B, width]
   */
  public TensorRef gather(
      String name,
      TensorRef rows,
      int column,
      int width,
      boolean next,
      TensorRef shift,
      TensorRef scale) {
    require(rows.kind() == Kind.ROWS, name, "rows must come from sample, found", rows);
    if (shift != null) {
      shape(name, "shift", shift, 1, 1, width);
    }
    if (scale != null) {
      shape(name, "scale", scale, 1, 1, width);
    }
    TensorRef out = work(name, 1, rows.rows(), width);
    op(
        name,
        2,
        tensorIds(rows, shift, scale, out),
        new NetworkRef[0],
        new long[] {column, next ? 1 : 0});
    return out;
  }

  /** Joins two tensors by columns. */
  public TensorRef concat(String name, TensorRef x, TensorRef y) {
    shape(name, "y", y, x.members(), x.rows(), y.columns());
    TensorRef out = work(name, x.members(), x.rows(), x.columns() + y.columns());
    op(name, 3, tensorIds(x, y, out), new NetworkRef[0], new long[0]);
    return out;
  }

  /**
   * Computes y = network(x).
   *
   * @param x [E, B, in], or [1, B, in] for all members
   * @param tape what to keep for a backward pass
   */
  public Forward mlpForward(String name, NetworkRef network, TensorRef x, Tape tape) {
    require(
        x.members() == 1 || x.members() == network.members(),
        name,
        "x must have 1 or " + network.members() + " members, found",
        x);
    shape(name, "x", x, x.members(), x.rows(), network.inputs());
    TensorRef y = work(name, network.members(), x.rows(), network.outputs());
    TensorRef kept = null;
    if (tape != Tape.NONE && network.hidden() > 0) {
      Kind kind = tape == Tape.FULL ? Kind.TAPE : Kind.SIGNS;
      kept = tensor(name + ".tape", kind, network.members(), x.rows(), network.hidden());
    }
    op(name, MLP_FORWARD, tensorIds(x, y, kept), new NetworkRef[] {network}, new long[0]);
    return new Forward(network, x, y, kept);
  }

  /**
   * Forms the parameter gradients of SUM(gradient * y); they overwrite the network's gradients.
   *
   * @param forward made with {@link Tape#FULL}
   * @param gradient [E, B, out]
   */
  public void mlpBackward(String name, Forward forward, TensorRef gradient) {
    TensorRef tape = forward.tape();
    if (forward.network().hidden() > 0 && (tape == null || tape.kind() != Kind.TAPE)) {
      throw wrong("op '" + name + "': its forward pass needs Tape.FULL");
    }
    likeOutput(name, forward, gradient);
    op(
        name,
        MLP_BACKWARD,
        tensorIds(forward.x(), forward.y(), tape, gradient),
        new NetworkRef[] {forward.network()},
        new long[0]);
  }

  /**
   * Forms the gradient of SUM(gradient * y) with respect to some input columns, and no other.
   *
   * @param forward made with {@link Tape#FULL} or {@link Tape#SIGNS}
   * @param gradient [E, B, out]
   * @param first first input column
   * @param columns number of input columns
   * @return [E, B, columns]
   */
  public TensorRef mlpBackwardInput(
      String name, Forward forward, TensorRef gradient, int first, int columns) {
    NetworkRef network = forward.network();
    if (network.hidden() > 0 && forward.tape() == null) {
      throw wrong("op '" + name + "': its forward pass needs Tape.FULL or Tape.SIGNS");
    }
    likeOutput(name, forward, gradient);
    if (first < 0 || columns < 1 || first + columns > network.inputs()) {
      throw wrong(
          "op '%s': input columns %d to %d are wanted, but network '%s' has %d inputs"
              .formatted(name, first, first + columns - 1, network.name(), network.inputs()));
    }
    TensorRef out = work(name, network.members(), gradient.rows(), columns);
    op(
        name,
        MLP_BACKWARD_INPUT,
        tensorIds(forward.y(), forward.tape(), gradient, out),
        new NetworkRef[] {network},
        new long[] {first});
    return out;
  }

  /** Adds up the members of x: [E, B, F] becomes [1, B, F]. */
  public TensorRef memberSum(String name, TensorRef x) {
    TensorRef out = work(name, 1, x.rows(), x.columns());
    op(name, 7, tensorIds(x, out), new NetworkRef[0], new long[0]);
    return out;
  }

  /** Adds two tensors of one shape. */
  public TensorRef add(String name, TensorRef x, TensorRef y) {
    shape(name, "y", y, x.members(), x.rows(), x.columns());
    TensorRef out = work(name, x.members(), x.rows(), x.columns());
    op(name, 8, tensorIds(x, y, out), new NetworkRef[0], new long[0]);
    return out;
  }

  /**
   * Attenuation phi: 1 inside the box, beta * exp(-theta * SUM of excesses) outside (specification
   * section 0).
   *
   * @param action [1, B, A]; {@code low} and {@code high} alike
   * @return [1, B, 1]
   */
  public TensorRef attenuation(
      String name, TensorRef action, TensorRef low, TensorRef high, HyperRef beta, HyperRef theta) {
    box(name, action, low, high);
    TensorRef phi = work(name, 1, action.rows(), 1);
    op(name, 9, tensorIds(action, low, high, phi), new NetworkRef[0], new long[0], beta, theta);
    return phi;
  }

  /**
   * Temporal-difference target y = r + gamma (1 - done) (phi max(q, 0) + min(q, 0)).
   *
   * @param reward [1, B, G]
   * @param done [1, B, 1], 0 or 1
   * @param phi [1, B, 1], or null for 1
   * @param q [G * groupSize, B, 1]
   * @return [E, B, 1]
   */
  public TensorRef tdTarget(
      String name,
      TensorRef reward,
      TensorRef done,
      TensorRef phi,
      TensorRef q,
      int groupSize,
      HyperRef gamma) {
    shape(name, "q", q, q.members(), q.rows(), 1);
    shape(name, "reward", reward, 1, q.rows(), groups(name, q, groupSize));
    shape(name, "done", done, 1, q.rows(), 1);
    if (phi != null) {
      shape(name, "phi", phi, 1, q.rows(), 1);
    }
    TensorRef y = work(name, q.members(), q.rows(), 1);
    op(
        name,
        10,
        tensorIds(reward, done, phi, q, y),
        new NetworkRef[0],
        new long[] {groupSize},
        gamma);
    return y;
  }

  /** Squared error of each member, averaged over rows; q and y are [E, B, 1]. */
  public SquaredError squaredError(String name, TensorRef q, TensorRef y) {
    shape(name, "q", q, q.members(), q.rows(), 1);
    shape(name, "y", y, q.members(), q.rows(), 1);
    TensorRef gradient = work(name + ".gradient", q.members(), q.rows(), 1);
    TensorRef loss = work(name, q.members(), 1, 1);
    op(name, 11, tensorIds(q, y, gradient, loss), new NetworkRef[0], new long[0]);
    return new SquaredError(gradient, loss);
  }

  /**
   * Ensemble objective: minus the weighted group means plus lambda times the weighted group
   * deviations.
   *
   * @param q [G * groupSize, B, 1]
   * @param weight [1, 1, G]
   */
  public EnsembleObjective ensembleObjective(
      String name, TensorRef q, TensorRef weight, int groupSize, HyperRef lambda) {
    shape(name, "q", q, q.members(), q.rows(), 1);
    int groups = groups(name, q, groupSize);
    shape(name, "weight", weight, 1, 1, groups);
    TensorRef gradient = work(name + ".gradient", q.members(), q.rows(), 1);
    TensorRef mean = work(name + ".mean", 1, q.rows(), groups);
    TensorRef deviation = work(name + ".deviation", 1, q.rows(), groups);
    op(
        name,
        12,
        tensorIds(q, weight, gradient, mean, deviation),
        new NetworkRef[0],
        new long[] {groupSize},
        lambda);
    return new EnsembleObjective(gradient, mean, deviation);
  }

  /**
   * Box penalty eta * d(action), averaged over rows.
   *
   * @param action [1, B, A]; {@code low} and {@code high} alike
   * @param exact true for the form that jumps at the edge, false for the continuous one
   */
  public BoxPenalty boxPenalty(
      String name,
      TensorRef action,
      TensorRef low,
      TensorRef high,
      boolean exact,
      HyperRef eta,
      HyperRef omega) {
    box(name, action, low, high);
    TensorRef gradient = work(name + ".gradient", 1, action.rows(), action.columns());
    TensorRef distance = work(name, 1, action.rows(), 1);
    TensorRef inside = work(name + ".inside", 1, action.rows(), 1);
    op(
        name,
        13,
        tensorIds(action, low, high, gradient, distance, inside),
        new NetworkRef[0],
        new long[] {exact ? 1 : 0},
        eta,
        omega);
    return new BoxPenalty(gradient, distance, inside);
  }

  /**
   * One step of Adam on a network whose gradients an earlier op has formed.
   *
   * @return gradient norm of each member before clipping, [E, 1, 1]
   */
  public TensorRef adam(String name, NetworkRef network, AdamHypers h) {
    return adam(name, network, h, 1);
  }

  /**
   * The same at every step that {@code period} divides; at others only the norm is formed.
   *
   * @param period steps from one update to the next, at least 1
   */
  public TensorRef adam(String name, NetworkRef network, AdamHypers h, int period) {
    requirePositive("period of op '" + name + "'", period);
    TensorRef norm = work(name, network.members(), 1, 1);
    op(
        name,
        ADAM,
        tensorIds(norm),
        new NetworkRef[] {network},
        new long[] {period},
        h.rate(),
        h.beta1(),
        h.beta2(),
        h.epsilon(),
        h.decay(),
        h.clip());
    return norm;
  }

  /** target = w source + (1 - w) target at every step that {@code period} divides. */
  public void softUpdate(
      String name, NetworkRef target, NetworkRef source, int period, HyperRef w) {
    requirePositive("period of op '" + name + "'", period);
    if (target.members() != source.members() || !target.sizes().equals(source.sizes())) {
      throw wrong(
          "op '%s': target '%s' and source '%s' must have the same members and sizes"
              .formatted(name, target.name(), source.name()));
    }
    op(name, 15, new int[0], new NetworkRef[] {target, source}, new long[] {period}, w);
  }

  /** Records the mean over all elements of x at every step. */
  public void metric(String name, TensorRef x) {
    op(name, 16, tensorIds(x), new NetworkRef[0], new long[] {metrics.size()});
    metrics.add(name);
  }

  /**
   * Standard normal noise: scale * z, cut to +-limit where limit is above 0.
   *
   * @param stream separates draws of one step
   */
  public TensorRef normal(
      String name, int members, int rows, int columns, int stream, HyperRef scale, HyperRef limit) {
    return noise(name, members, rows, columns, stream, 0, scale, limit);
  }

  /** Noise uniform in (-scale, scale), cut to +-limit where limit is above 0. */
  public TensorRef uniform(
      String name, int members, int rows, int columns, int stream, HyperRef scale, HyperRef limit) {
    return noise(name, members, rows, columns, stream, 1, scale, limit);
  }

  private TensorRef noise(
      String name,
      int members,
      int rows,
      int columns,
      int stream,
      int distribution,
      HyperRef scale,
      HyperRef limit) {
    TensorRef out = work(name, members, rows, columns);
    long[] integers = {stream, distribution};
    op(name, 17, tensorIds(out), new NetworkRef[0], integers, scale, limit);
    return out;
  }

  /** Cuts x to [low, high]; the derivative is 1 where nothing was cut. */
  public WithDerivative clip(String name, TensorRef x, HyperRef low, HyperRef high) {
    TensorRef out = like(name, x);
    TensorRef inside = like(name + ".inside", x);
    op(name, 18, tensorIds(x, out, inside), new NetworkRef[0], new long[0], low, high);
    return new WithDerivative(out, inside);
  }

  /**
   * Computes a x + b y + c; sizes of 1 of x or y are broadcast to the other's.
   *
   * @param y may be null
   */
  public TensorRef combine(
      String name, TensorRef x, TensorRef y, HyperRef a, HyperRef b, HyperRef c) {
    TensorRef out = broadcast(name, x, y == null ? x : y);
    op(name, 19, tensorIds(x, y, out), new NetworkRef[0], new long[0], a, b, c);
    return out;
  }

  /** Multiplies element by element; sizes of 1 of x or y are broadcast to the other's. */
  public TensorRef multiply(String name, TensorRef x, TensorRef y) {
    TensorRef out = broadcast(name, x, y);
    op(name, 20, tensorIds(x, y, out), new NetworkRef[0], new long[0]);
    return out;
  }

  /** Repeats a tensor of one member for {@code members} of them. */
  public TensorRef forMembers(String name, TensorRef x, int members, HyperRef one, HyperRef zero) {
    require(x.members() == 1, name, "x must have 1 member, found", x);
    TensorRef out = work(name, members, x.rows(), x.columns());
    op(name, 19, tensorIds(x, null, out), new NetworkRef[0], new long[0], one, zero, zero);
    return out;
  }

  /**
   * Computes w min + (1 - w) max over the members of each group.
   *
   * @param q [G * groupSize, B, F]
   * @return value [G, B, F], derivative [E, B, F]
   */
  public WithDerivative groupExtreme(String name, TensorRef q, int groupSize, HyperRef w) {
    TensorRef out = work(name, groups(name, q, groupSize), q.rows(), q.columns());
    TensorRef share = like(name + ".share", q);
    op(name, 21, tensorIds(q, out, share), new NetworkRef[0], new long[] {groupSize}, w);
    return new WithDerivative(out, share);
  }

  /**
   * Reduces every n consecutive rows to one.
   *
   * @param acrossColumns whether columns are reduced too
   * @param temperature of {@link Reduction#LOG_SUM_EXP}, T log SUM exp(x / T); above 0
   * @return value [E, B / n, 1 or F], derivative [E, B, F]
   */
  public WithDerivative rowReduce(
      String name,
      TensorRef x,
      int n,
      Reduction reduction,
      boolean acrossColumns,
      HyperRef temperature) {
    require(
        n > 0 && x.rows() % n == 0, name, "groups of " + n + " rows do not divide the rows of", x);
    TensorRef out = work(name, x.members(), x.rows() / n, acrossColumns ? 1 : x.columns());
    TensorRef share = like(name + ".share", x);
    long[] integers = {n, reduction.code};
    op(name, 22, tensorIds(x, out, share), new NetworkRef[0], integers, temperature);
    return new WithDerivative(out, share);
  }

  /** Repeats every row n times: rows b n to b n + n - 1 of the result are row b. */
  public TensorRef repeat(String name, TensorRef x, int n) {
    requirePositive("n of op '" + name + "'", n);
    TensorRef out = work(name, x.members(), Math.multiplyExact(x.rows(), n), x.columns());
    op(name, 23, tensorIds(x, out), new NetworkRef[0], new long[] {n});
    return out;
  }

  /** Puts the rows of y below those of x. */
  public TensorRef concatRows(String name, TensorRef x, TensorRef y) {
    shape(name, "y", y, x.members(), y.rows(), x.columns());
    TensorRef out = work(name, x.members(), x.rows() + y.rows(), x.columns());
    op(name, 24, tensorIds(x, y, out), new NetworkRef[0], new long[0]);
    return out;
  }

  /** Some columns of x. */
  public TensorRef columns(String name, TensorRef x, int first, int count) {
    return slice(name, x, work(name, x.members(), x.rows(), count), 0, 0, first);
  }

  /** Some rows of x. */
  public TensorRef rows(String name, TensorRef x, int first, int count) {
    return slice(name, x, work(name, x.members(), count, x.columns()), 0, first, 0);
  }

  /** Some members of x. */
  public TensorRef members(String name, TensorRef x, int first, int count) {
    return slice(name, x, work(name, count, x.rows(), x.columns()), first, 0, 0);
  }

  private TensorRef slice(
      String name, TensorRef x, TensorRef out, int member, int row, int column) {
    require(
        member >= 0
            && row >= 0
            && column >= 0
            && member + out.members() <= x.members()
            && row + out.rows() <= x.rows()
            && column + out.columns() <= x.columns(),
        name,
        "slice %s at (%d, %d, %d) leaves".formatted(out.shape(), member, row, column),
        x);
    op(name, 25, tensorIds(x, out), new NetworkRef[0], new long[] {member, row, column});
    return out;
  }

  /** The elements of x in their order, each member divided into rows of {@code columns}. */
  public TensorRef reshape(String name, TensorRef x, int columns) {
    long elements = (long) x.rows() * x.columns();
    require(
        columns > 0 && elements % columns == 0,
        name,
        "rows of " + columns + " columns do not divide the elements of",
        x);
    TensorRef out = work(name, x.members(), Math.toIntExact(elements / columns), columns);
    op(name, 26, tensorIds(x, out), new NetworkRef[0], new long[0]);
    return out;
  }

  /**
   * Draws from a diagonal Gaussian by reparameterisation: mean + sd * noise, through tanh with
   * {@code squash}.
   *
   * @param head mean and log standard deviation by columns, [E, B, 2A]
   * @param noise standard normal, [E, B, A]
   * @param low smallest log standard deviation; {@code high} the largest
   */
  public GaussianSample gaussianSample(
      String name, TensorRef head, TensorRef noise, boolean squash, HyperRef low, HyperRef high) {
    shape(name, "head", head, noise.members(), noise.rows(), 2 * noise.columns());
    TensorRef action = like(name, noise);
    TensorRef logProbability = work(name + ".log_prob", noise.members(), noise.rows(), 1);
    long[] integers = {squash ? 1 : 0};
    TensorRef[] refs = {head, noise, action, logProbability};
    op(name, 27, tensorIds(refs), new NetworkRef[0], integers, low, high);
    return new GaussianSample(head, noise, action, logProbability, squash, low, high);
  }

  /**
   * Gradient with respect to the head.
   *
   * @param action gradient with respect to the action, [E, B, A], or null
   * @param logProbability gradient with respect to the log-probability, [E, B, 1], or null
   * @return [E, B, 2A]
   */
  public TensorRef gaussianSampleBackward(
      String name, GaussianSample sample, TensorRef action, TensorRef logProbability) {
    TensorRef out = like(name, sample.head());
    TensorRef[] refs = {
      sample.head(), sample.noise(), sample.action(), action, logProbability, out
    };
    long[] integers = {sample.squash() ? 1 : 0};
    op(name, 28, tensorIds(refs), new NetworkRef[0], integers, sample.low(), sample.high());
    return out;
  }

  /**
   * Log-density of given actions.
   *
   * @param head mean and log standard deviation by columns, [E, B, 2A]
   * @param action [1 or E, B, A]
   * @param squash whether actions come through tanh
   * @return value [E, B, 1], derivative with respect to the head [E, B, 2A]
   */
  public WithDerivative gaussianLogProbability(
      String name, TensorRef head, TensorRef action, boolean squash, HyperRef low, HyperRef high) {
    TensorRef out = work(name, head.members(), head.rows(), 1);
    TensorRef gradient = like(name + ".gradient", head);
    long[] integers = {squash ? 1 : 0};
    TensorRef[] refs = {head, action, out, gradient};
    op(name, 29, tensorIds(refs), new NetworkRef[0], integers, low, high);
    return new WithDerivative(out, gradient);
  }

  /**
   * Kullback-Leibler divergence of a diagonal Gaussian from the standard one.
   *
   * @return value [E, B, 1], derivative with respect to the head [E, B, 2A]
   */
  public WithDerivative gaussianDivergence(
      String name, TensorRef head, HyperRef low, HyperRef high) {
    TensorRef out = work(name, head.members(), head.rows(), 1);
    TensorRef gradient = like(name + ".gradient", head);
    op(name, 30, tensorIds(head, out, gradient), new NetworkRef[0], new long[0], low, high);
    return new WithDerivative(out, gradient);
  }

  /**
   * Computes min(exp(beta (x - y)), cap).
   *
   * @param y may be null for 0
   */
  public TensorRef expWeight(String name, TensorRef x, TensorRef y, HyperRef beta, HyperRef cap) {
    TensorRef out = like(name, x);
    op(name, 31, tensorIds(x, y, out), new NetworkRef[0], new long[0], beta, cap);
    return out;
  }

  /**
   * Expectile loss {@code |tau - [q < v]| (q - v)^2} of each row.
   *
   * @param q [1 or E, B, 1]
   * @param v [E, B, 1]
   * @return value [E, B, 1], derivative of its mean over rows with respect to v
   */
  public WithDerivative expectile(String name, TensorRef q, TensorRef v, HyperRef tau) {
    TensorRef loss = like(name, v);
    TensorRef gradient = like(name + ".gradient", v);
    op(name, 32, tensorIds(q, v, loss, gradient), new NetworkRef[0], new long[0], tau);
    return new WithDerivative(loss, gradient);
  }

  /** Computes scale / mean |x| as [1, 1, 1]. */
  public TensorRef normaliser(String name, TensorRef x, HyperRef scale) {
    TensorRef out = work(name, 1, 1, 1);
    op(name, 33, tensorIds(x, out), new NetworkRef[0], new long[0], scale);
    return out;
  }

  /**
   * Normalises each row to mean 0 and variance 1, then applies gain and bias.
   *
   * @param affine linear network of the sizes (1, F): its weight is the gain, its bias the bias
   * @param relu whether max(x, 0) is normalised instead of x
   */
  public LayerNorm layerNorm(
      String name, NetworkRef affine, TensorRef x, boolean relu, HyperRef epsilon) {
    TensorRef y = like(name, x);
    TensorRef statistics = work(name + ".statistics", x.members(), x.rows(), 2);
    NetworkRef[] refs = {affine};
    op(name, 34, tensorIds(x, y, statistics), refs, new long[] {relu ? 1 : 0}, epsilon);
    return new LayerNorm(affine, x, y, statistics, relu);
  }

  /**
   * Gradient with respect to a layer normalisation's input.
   *
   * @param gradient with respect to its output, [E, B, F]
   * @param parameters whether the gradients of gain and bias are formed too
   */
  public TensorRef layerNormBackward(
      String name, LayerNorm forward, TensorRef gradient, boolean parameters) {
    TensorRef out = like(name, forward.x());
    op(
        name,
        35,
        tensorIds(forward.x(), forward.statistics(), gradient, out),
        new NetworkRef[] {forward.affine()},
        new long[] {forward.relu() ? 1 : 0, parameters ? 1 : 0});
    return out;
  }

  /**
   * Similarity of the members' gradients: the sum of cosines of all pairs by E - 1 (EDAC).
   *
   * @param gradients [E, B, A]
   * @return value [1, B, 1], derivative of its mean over rows [E, B, A]
   */
  public WithDerivative diversity(String name, TensorRef gradients) {
    TensorRef out = work(name, 1, gradients.rows(), 1);
    TensorRef gradient = like(name + ".gradient", gradients);
    op(name, 36, tensorIds(gradients, out, gradient), new NetworkRef[0], new long[0]);
    return new WithDerivative(out, gradient);
  }

  /**
   * Adds to the parameter gradients those of SUM(direction * dx), where dx is what {@link
   * #mlpBackwardInput} gives for the same gradient: a second derivative.
   *
   * @param forward made with {@link Tape#FULL}
   * @param gradient that of mlpBackwardInput, [E, B, out]
   * @param direction [E, B, columns], of the input columns from {@code first} on
   */
  public void mlpBackwardTangent(
      String name, Forward forward, TensorRef gradient, TensorRef direction, int first) {
    op(
        name,
        MLP_BACKWARD_TANGENT,
        tensorIds(forward.y(), forward.tape(), gradient, direction),
        new NetworkRef[] {forward.network()},
        new long[] {first});
  }

  /** Names of the metrics in slot order. */
  public List<String> metrics() {
    return List.copyOf(metrics);
  }

  /** Networks in order of addition. */
  public List<NetworkRef> networks() {
    return List.copyOf(networks);
  }

  /** Networks that an optimiser moves, in order of addition. */
  public List<NetworkRef> trained() {
    return networks.stream()
        .filter(n -> ops.stream().anyMatch(o -> o.code() == ADAM && o.networks()[0] == n.id()))
        .toList();
  }

  /**
   * Multiply-adds of a step, matrix products only. Gradients of inputs that nobody asks for are
   * none of them, as no back end forms them.
   */
  public long multiplyAdds() {
    return ops.stream().mapToLong(this::multiplyAdds).sum();
  }

  private long multiplyAdds(Op op) {
    boolean network = op.code() >= MLP_FORWARD && op.code() <= MLP_BACKWARD_INPUT;
    if (!network && op.code() != MLP_BACKWARD_TANGENT) {
      return 0;
    }
    NetworkRef n = networks.get(op.networks()[0]);
    List<Integer> sizes = n.sizes();
    long all = 0;
    for (int l = 1; l < sizes.size(); l++) {
      all += (long) sizes.get(l - 1) * sizes.get(l);
    }
    long above = all - (long) n.inputs() * sizes.get(1); // all layers but the first
    long last = sizes.size() > 2 ? (long) sizes.get(sizes.size() - 2) * n.outputs() : 0;
    TensorRef output = tensors.get(op.tensors()[op.code() <= MLP_BACKWARD ? 1 : 0]);
    long columns = op.tensors().length > 3 ? tensors.get(op.tensors()[3]).columns() : 0;
    long products =
        switch (op.code()) {
          case MLP_FORWARD -> all;
          case MLP_BACKWARD -> all + above; // of weights, and of activations
          case MLP_BACKWARD_INPUT -> above + columns * sizes.get(1);
          // Down to the first layer, the direction up to the last, and weights of all.
          default -> 2 * columns * sizes.get(1) + 3 * above - last;
        };
    return products * n.members() * output.rows();
  }

  /** Hyper-parameters in order of addition. */
  public List<HyperRef> hypers() {
    return List.copyOf(hypers);
  }

  /** The tensor of this name. */
  public TensorRef tensor(String name) {
    return tensors.stream()
        .filter(t -> t.name().equals(name))
        .findFirst()
        .orElseThrow(() -> wrong("no tensor '" + name + "' in this program"));
  }

  boolean owns(TensorRef tensor) {
    return tensor.id() < tensors.size() && tensors.get(tensor.id()).equals(tensor);
  }

  boolean owns(NetworkRef network) {
    return network.id() < networks.size() && networks.get(network.id()).equals(network);
  }

  boolean owns(HyperRef hyper) {
    return hyper.id() < hypers.size() && hypers.get(hyper.id()).equals(hyper);
  }

  /** Sends the program across; the caller closes the native copy. */
  long toNative() {
    long[] handle = new long[1];
    Native.check(Native.programCreate(handle));
    long program = handle[0];
    try {
      int[] id = new int[1];
      for (TensorRef t : tensors) {
        Native.check(
            Native.programTensor(
                program, t.name(), t.kind().code(), t.members(), t.rows(), t.columns(), id));
      }
      for (NetworkRef n : networks) {
        long[] sizes = n.sizes().stream().mapToLong(Integer::longValue).toArray();
        Native.check(
            Native.programNetwork(
                program, n.name(), n.members(), sizes, sizes.length, n.activation().code(), id));
      }
      for (HyperRef h : hypers) {
        Native.check(Native.programHyper(program, h.name(), h.value(), id));
      }
      for (Op o : ops) {
        Native.check(
            Native.programOp(
                program,
                o.name(),
                o.code(),
                o.tensors(),
                o.tensors().length,
                o.networks(),
                o.networks().length,
                o.integers(),
                o.integers().length,
                o.hypers(),
                o.hypers().length));
      }
      return program;
    } catch (RuntimeException | Error e) {
      Native.programClose(program);
      throw e;
    }
  }

  private TensorRef work(String name, int members, int rows, int columns) {
    return tensor(name, Kind.WORK, members, rows, columns);
  }

  private TensorRef like(String name, TensorRef x) {
    return work(name, x.members(), x.rows(), x.columns());
  }

  private TensorRef broadcast(String name, TensorRef x, TensorRef y) {
    return work(
        name,
        broadcast(name, x, x.members(), y.members()),
        broadcast(name, x, x.rows(), y.rows()),
        broadcast(name, x, x.columns(), y.columns()));
  }

  private static int broadcast(String name, TensorRef x, int own, int other) {
    require(
        own == other || own == 1 || other == 1,
        name,
        "a size of " + other + " does not fit one of " + own + " of",
        x);
    return Math.max(own, other);
  }

  private TensorRef tensor(String name, Kind kind, int members, int rows, int columns) {
    requirePositive("members of tensor '" + name + "'", members);
    requirePositive("rows of tensor '" + name + "'", rows);
    requirePositive("columns of tensor '" + name + "'", columns);
    TensorRef tensor = new TensorRef(tensors.size(), name, kind, members, rows, columns);
    tensors.add(tensor);
    return tensor;
  }

  private int[] tensorIds(TensorRef... refs) {
    int[] ids = new int[refs.length];
    for (int i = 0; i < refs.length; i++) {
      if (refs[i] != null && !owns(refs[i])) {
        throw wrong("tensor '" + refs[i].name() + "' belongs to another program");
      }
      ids[i] = refs[i] == null ? NONE : refs[i].id();
    }
    return ids;
  }

  private void op(
      String name,
      int code,
      int[] tensorIds,
      NetworkRef[] networkRefs,
      long[] integers,
      HyperRef... hyperRefs) {
    int[] networkIds = new int[networkRefs.length];
    for (int i = 0; i < networkIds.length; i++) {
      if (!owns(networkRefs[i])) {
        throw wrong("network '" + networkRefs[i].name() + "' belongs to another program");
      }
      networkIds[i] = networkRefs[i].id();
    }
    int[] hyperIds = new int[hyperRefs.length];
    for (int i = 0; i < hyperIds.length; i++) {
      if (!owns(hyperRefs[i])) {
        throw wrong("hyper-parameter '" + hyperRefs[i].name() + "' belongs to another program");
      }
      hyperIds[i] = hyperRefs[i].id();
    }
    ops.add(new Op(name, code, tensorIds, networkIds, integers, hyperIds));
  }

  private static void likeOutput(String name, Forward forward, TensorRef gradient) {
    TensorRef y = forward.y();
    shape(name, "gradient", gradient, y.members(), y.rows(), y.columns());
  }

  private static void box(String name, TensorRef action, TensorRef low, TensorRef high) {
    shape(name, "action", action, 1, action.rows(), action.columns());
    shape(name, "low", low, 1, action.rows(), action.columns());
    shape(name, "high", high, 1, action.rows(), action.columns());
  }

  private static int groups(String name, TensorRef q, int groupSize) {
    require(
        groupSize > 0 && q.members() % groupSize == 0,
        name,
        "groups of " + groupSize + " do not divide the members of",
        q);
    return q.members() / groupSize;
  }

  private static void shape(
      String op, String role, TensorRef tensor, int members, int rows, int columns) {
    if (tensor.members() != members || tensor.rows() != rows || tensor.columns() != columns) {
      throw wrong(
          "op '%s': %s must be [%d, %d, %d], found %s"
              .formatted(op, role, members, rows, columns, tensor.shape()));
    }
  }

  private static void require(boolean condition, String op, String text, TensorRef tensor) {
    if (!condition) {
      throw wrong("op '" + op + "': " + text + " " + tensor.shape());
    }
  }

  private static void requirePositive(String what, long value) {
    if (value < 1) {
      throw wrong(what + " is " + value + "; at least 1 is needed");
    }
  }

  private static IllegalArgumentException wrong(String text) {
    return new IllegalArgumentException(text);
  }
}
