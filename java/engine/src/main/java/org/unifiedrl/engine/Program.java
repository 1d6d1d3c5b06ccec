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
    TensorRef norm = work(name, network.members(), 1, 1);
    op(
        name,
        ADAM,
        tensorIds(norm),
        new NetworkRef[] {network},
        new long[0],
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
    if (op.code() < MLP_FORWARD || op.code() > MLP_BACKWARD_INPUT) {
      return 0;
    }
    NetworkRef network = networks.get(op.networks()[0]);
    List<Integer> sizes = network.sizes();
    long forward = 0;
    for (int l = 1; l < sizes.size(); l++) {
      forward += (long) sizes.get(l - 1) * sizes.get(l);
    }
    long above = forward - (long) network.inputs() * sizes.get(1); // all layers but the first
    TensorRef output = tensors.get(op.tensors()[op.code() == MLP_BACKWARD_INPUT ? 0 : 1]);
    long products =
        switch (op.code()) {
          case MLP_FORWARD -> forward;
          case MLP_BACKWARD -> forward + above;
          default -> above + (long) tensors.get(op.tensors()[3]).columns() * sizes.get(1);
        };
    return products * network.members() * output.rows();
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
