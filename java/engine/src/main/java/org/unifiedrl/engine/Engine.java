package org.unifiedrl.engine;

import java.lang.ref.Reference;
import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.DoubleBuffer;
import java.nio.FloatBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.function.LongConsumer;

/**
 * A {@link Program} planned for one back end, with its networks, step counter and metrics. {@link
 * #run} is one native call and allocates nothing. Calls from several threads take turns; {@link
 * #close} waits for the call that is running.
 */
public final class Engine extends NativeHandle {

  /** Metric rows that the engine keeps; older ones are overwritten. */
  public static final int METRIC_ROWS = 1024;

  private final Program program;
  private final NativeReplay replay;
  private final String backend;
  private final String description;
  private final long[] drained = new long[1];
  private final int metricSlots;

  private Engine(long address, Program program, NativeReplay replay) {
    super("engine", address, replay == null ? Native::engineClose : freeing(replay));
    this.program = program;
    this.replay = replay;
    this.metricSlots = program.metrics().size();
    this.backend = Native.engineBackend(address);
    this.description = Native.engineDescription(address);
  }

  private static LongConsumer freeing(NativeReplay replay) {
    replay.addEngine();
    return address -> {
      Native.engineClose(address);
      replay.removeEngine();
    };
  }

  /**
   * Creates an engine.
   *
   * @param replay experience that the program draws from; null for programs that draw nothing
   * @throws EngineException when the program, the back end, its device or precision, or the memory
   *     does not do
   */
  public static Engine create(Program program, NativeReplay replay, EngineOptions options) {
    NativeLibraries.require();
    CudaLibrary.loadFor(options.backend());
    long definition = program.toNative();
    ByteBuffer struct = options.toStruct();
    long[] handle = new long[1];
    try {
      long source = replay == null ? 0 : replay.acquire();
      try {
        Native.check(Native.engineCreate(definition, source, options.backend(), struct, handle));
        return new Engine(handle[0], program, replay);
      } finally {
        if (replay != null) {
          replay.release();
        }
      }
    } finally {
      Native.programClose(definition);
      Reference.reachabilityFence(struct);
    }
  }

  /**
   * Runs {@code steps} steps; one native call.
   *
   * @throws NotFiniteException when a gradient stops being finite; steps before it are complete
   * @throws EngineException with the status MISMATCH when the back ends of {@code check:A,B} differ
   * @throws org.unifiedrl.engine.replay.ReplayException if a replay file was cut meanwhile
   * @throws IllegalStateException if the engine is closed
   */
  public void run(long steps) {
    if (steps < 0) {
      throw new IllegalArgumentException("steps is " + steps + "; 0 is the least");
    }
    long address = acquire();
    try {
      if (replay != null) {
        replay.checkFiles();
      }
      Native.check(Native.engineRun(address, steps));
    } finally {
      release();
    }
  }

  /** Steps completed; draws and bias corrections depend on it. */
  public long step() {
    long address = acquire();
    try {
      return Native.engineStep(address);
    } finally {
      release();
    }
  }

  /** Sets the number of completed steps, when a run is resumed. */
  public void setStep(long step) {
    long address = acquire();
    try {
      Native.check(Native.engineSetStep(address, step));
    } finally {
      release();
    }
  }

  /** Changes a hyper-parameter from the next step on. */
  public void setHyper(HyperRef hyper, double value) {
    requireOwned(program.owns(hyper), "hyper-parameter", hyper.name());
    long address = acquire();
    try {
      Native.check(Native.engineSetHyper(address, hyper.id(), value));
    } finally {
      release();
    }
  }

  /**
   * Moves metric rows of completed steps into {@code destination}, oldest first: one row a step,
   * one float32 a metric in the order of {@link Program#metrics}, without gaps. As many rows as
   * fit; the rest stays for the next call.
   *
   * @param destination direct, native order; written from its position on, which does not move
   * @return number of rows written
   */
  public int drainMetrics(FloatBuffer destination) {
    int slots = metricSlots;
    requireWritable("destination", destination, slots);
    long address = acquire();
    try {
      long rows = slots == 0 ? 0 : destination.remaining() / slots;
      Native.check(Native.engineMetrics(address, destination, rows, drained));
      return (int) drained[0];
    } finally {
      release();
      Reference.reachabilityFence(destination);
    }
  }

  /** Reads a section of a network; {@code destination} is direct and holds its whole size. */
  public void readNetwork(NetworkRef network, Section section, FloatBuffer destination) {
    requireOwned(program.owns(network), "network", network.name());
    requireWritable("destination", destination, network.size());
    long address = acquire();
    try {
      Native.check(
          Native.networkRead(address, network.id(), section.code(), destination, network.size()));
    } finally {
      release();
      Reference.reachabilityFence(destination);
    }
  }

  /** Writes a section of a network; {@code source} is direct and holds its whole size. */
  public void writeNetwork(NetworkRef network, Section section, FloatBuffer source) {
    requireOwned(program.owns(network), "network", network.name());
    requireDirect("source", source, network.size());
    long address = acquire();
    try {
      Native.check(
          Native.networkWrite(address, network.id(), section.code(), source, network.size()));
    } finally {
      release();
      Reference.reachabilityFence(source);
    }
  }

  /** Reads a section of a network as doubles: exact where the back end computes in double. */
  public double[] readNetwork64(NetworkRef network, Section section) {
    requireOwned(program.owns(network), "network", network.name());
    DoubleBuffer buffer = directDoubles(network.size());
    long address = acquire();
    try {
      Native.check(
          Native.networkRead64(address, network.id(), section.code(), buffer, network.size()));
    } finally {
      release();
    }
    return array(buffer);
  }

  /** Writes a section of a network from doubles. */
  public void writeNetwork64(NetworkRef network, Section section, double[] values) {
    requireOwned(program.owns(network), "network", network.name());
    if (values.length != network.size()) {
      throw new IllegalArgumentException(
          "network '%s' has %d values a section, found %d"
              .formatted(network.name(), network.size(), values.length));
    }
    DoubleBuffer buffer = directDoubles(values.length).put(values).flip();
    long address = acquire();
    try {
      Native.check(
          Native.networkWrite64(address, network.id(), section.code(), buffer, values.length));
    } finally {
      release();
      Reference.reachabilityFence(buffer);
    }
  }

  /** Fills a network's parameters uniformly in +-1/sqrt(in), each member from its own stream. */
  public void initialise(NetworkRef network, long seed) {
    requireOwned(program.owns(network), "network", network.name());
    long address = acquire();
    try {
      Native.check(Native.networkInitialise(address, network.id(), seed));
    } finally {
      release();
    }
  }

  /** Copies the parameters of one network to another of the same shape. */
  public void copyParameters(NetworkRef source, NetworkRef target) {
    writeNetwork64(target, Section.PARAMETERS, readNetwork64(source, Section.PARAMETERS));
  }

  /** Writes a constant tensor: all its values in the order [members, rows, columns]. */
  public void writeTensor(TensorRef tensor, float... values) {
    requireOwned(program.owns(tensor), "tensor", tensor.name());
    if (values.length != tensor.elements()) {
      throw new IllegalArgumentException(
          "tensor %s takes %d values, found %d"
              .formatted(tensor.shape(), tensor.elements(), values.length));
    }
    writeTensor(tensor, directFloats(values.length).put(values).flip());
  }

  /**
   * Writes a constant tensor from a buffer of the caller, such as a batch that another library has
   * computed; one native copy, no allocation. The buffer may be changed as soon as this returns.
   *
   * @param tensor from {@link Program#constant}
   * @param source direct, native order; all values of the tensor from its position on, in the order
   *     [members, rows, columns]; its position does not move, and what follows is left alone
   * @throws IllegalArgumentException if the buffer is of another kind or too short
   * @throws EngineException if the tensor is no constant
   */
  public void writeTensor(TensorRef tensor, FloatBuffer source) {
    requireOwned(program.owns(tensor), "tensor", tensor.name());
    requireDirect("source", source, tensor.elements());
    long address = acquire();
    try {
      Native.check(Native.tensorWrite(address, tensor.id(), source, tensor.elements()));
    } finally {
      release();
      Reference.reachabilityFence(source);
    }
  }

  /**
   * Reads a tensor of the last step, where {@link EngineOptions#materialise} kept it, into a buffer
   * of the caller: an output, a loss, or the gradient with respect to an input, which another
   * trainer propagates further.
   *
   * @param destination direct, native order; receives all values from its position on, in the order
   *     [members, rows, columns]; its position does not move
   * @throws IllegalArgumentException if the buffer is of another kind or too short
   * @throws EngineException if the engine did not keep the tensor
   */
  public void readTensor(TensorRef tensor, FloatBuffer destination) {
    requireOwned(program.owns(tensor), "tensor", tensor.name());
    requireWritable("destination", destination, tensor.elements());
    long address = acquire();
    try {
      Native.check(Native.tensorRead(address, tensor.id(), destination, tensor.elements()));
    } finally {
      release();
      Reference.reachabilityFence(destination);
    }
  }

  /** The same as doubles: exact where the back end computes in double. */
  public double[] readTensor(TensorRef tensor) {
    requireOwned(program.owns(tensor), "tensor", tensor.name());
    DoubleBuffer buffer = directDoubles(tensor.elements());
    long address = acquire();
    try {
      Native.check(Native.tensorRead64(address, tensor.id(), buffer, tensor.elements()));
    } finally {
      release();
    }
    return array(buffer);
  }

  /** SHA-256 of all networks' parameters as little-endian float32, in order of addition. */
  public String parameterHash() {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      for (NetworkRef network : program.networks()) {
        ByteBuffer bytes = directBytes(network.size(), Float.BYTES).order(ByteOrder.nativeOrder());
        readNetwork(network, Section.PARAMETERS, bytes.asFloatBuffer());
        ByteBuffer little = bytes;
        if (ByteOrder.nativeOrder() != ByteOrder.LITTLE_ENDIAN) {
          little = ByteBuffer.allocate(bytes.capacity()).order(ByteOrder.LITTLE_ENDIAN);
          little.asFloatBuffer().put(bytes.asFloatBuffer());
        }
        digest.update(little);
      }
      return HexFormat.of().formatHex(digest.digest());
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }

  /** Name of the back end that was chosen. */
  public String backend() {
    return backend;
  }

  /**
   * One line about what it runs with: what sets its results and speed, such as threads and
   * vectorised loops, or device, precision and where the rows lie.
   */
  public String description() {
    return description;
  }

  /** Bytes held for parameters, optimiser state and work space. */
  public long bytes() {
    long address = acquire();
    try {
      return Native.engineBytes(address);
    } finally {
      release();
    }
  }

  /** The program that it runs. */
  public Program program() {
    return program;
  }

  /** A direct buffer of floats in native order, as all methods here take. */
  public static FloatBuffer directFloats(long count) {
    return directBytes(count, Float.BYTES).order(ByteOrder.nativeOrder()).asFloatBuffer();
  }

  private static DoubleBuffer directDoubles(long count) {
    return directBytes(count, Double.BYTES).order(ByteOrder.nativeOrder()).asDoubleBuffer();
  }

  private static ByteBuffer directBytes(long count, int size) {
    return ByteBuffer.allocateDirect(Math.toIntExact(Math.multiplyExact(count, size)));
  }

  private static double[] array(DoubleBuffer buffer) {
    double[] values = new double[buffer.remaining()];
    buffer.get(values);
    return values;
  }

  static void requireDirect(String what, FloatBuffer buffer, long count) {
    if (!buffer.isDirect() || buffer.order() != ByteOrder.nativeOrder()) {
      throw new IllegalArgumentException(
          what + " must be a direct buffer in native byte order: use Engine.directFloats");
    }
    requireRemaining(what, buffer, count);
  }

  static void requireWritable(String what, FloatBuffer buffer, long count) {
    requireDirect(what, buffer, count);
    if (buffer.isReadOnly()) {
      throw new IllegalArgumentException(what + " is read-only: give a buffer that can be written");
    }
  }

  private static void requireRemaining(String what, Buffer buffer, long count) {
    if (buffer.remaining() < count) {
      throw new IllegalArgumentException(
          what + " has room for " + buffer.remaining() + " values, but " + count + " are needed");
    }
  }

  private static void requireOwned(boolean owned, String what, String name) {
    if (!owned) {
      throw new IllegalArgumentException(
          what + " '" + name + "' belongs to another program than this engine's");
    }
  }
}
