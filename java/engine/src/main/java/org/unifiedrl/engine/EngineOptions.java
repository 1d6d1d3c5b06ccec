package org.unifiedrl.engine;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * How an engine runs a program. Immutable; any thread may use it.
 *
 * @param backend "auto", "cuda", "cpu", "reference" (double), "reference32" or "check:A,B", which
 *     runs two and compares every op
 * @param threads worker threads including the caller; 0: the processors this process may use
 * @param tileRows batch rows worked on at a time, a multiple of 16; 0: chosen from the cache size
 * @param materialise keep every tensor whole so that it can be read (slower, more memory)
 * @param isa vectorised loops: 0 best, 1 baseline, 2 AVX2, 3 AVX-512
 * @param device index of the device, from 0, for back ends that have several; back ends that
 *     compute on the host have only 0, and the engine is refused with another one
 * @param precision arithmetic of matrix products; the engine is refused where the back end does not
 *     have it
 * @param replay where rows lie, for back ends with memory of their own
 * @param seed key of every random draw
 */
public record EngineOptions(
    String backend,
    int threads,
    int tileRows,
    boolean materialise,
    int isa,
    int device,
    Precision precision,
    ReplayPlacement replay,
    long seed) {

  /** Defaults: "auto", all processors, the first device, fp32, replay where it fits, seed 1. */
  public static final EngineOptions DEFAULT =
      new EngineOptions("auto", 0, 0, false, 0, 0, Precision.FP32, ReplayPlacement.AUTO, 1);

  /** {@code sizeof(unifiedrl_options)}: eight int32 and one uint64. */
  private static final int STRUCT_BYTES = 8 * Integer.BYTES + Long.BYTES;

  /** Checks the ranges. */
  public EngineOptions {
    if (backend == null || backend.isBlank()) {
      throw new IllegalArgumentException(
          "backend must be a name such as auto, cuda, cpu or reference");
    }
    if (threads < 0) {
      throw new IllegalArgumentException("threads is " + threads + "; 0 (all) or more is needed");
    }
    if (tileRows < 0 || tileRows % 16 != 0) {
      throw new IllegalArgumentException(
          "tileRows is " + tileRows + "; 0 (automatic) or a multiple of 16 is needed");
    }
    if (isa < 0 || isa > 3) {
      throw new IllegalArgumentException("isa is " + isa + "; it must be 0 to 3");
    }
    if (device < 0) {
      throw new IllegalArgumentException(
          "device is " + device + "; 0 (the first) or more is needed");
    }
    if (precision == null) {
      throw new IllegalArgumentException("precision is null; it must be FP32, TF32 or BF16");
    }
    if (replay == null) {
      throw new IllegalArgumentException("replay is null; it must be AUTO, RESIDENT or STREAMED");
    }
  }

  /** The same with another back end. */
  public EngineOptions withBackend(String name) {
    return new EngineOptions(
        name, threads, tileRows, materialise, isa, device, precision, replay, seed);
  }

  /** The same with another number of threads. */
  public EngineOptions withThreads(int count) {
    return new EngineOptions(
        backend, count, tileRows, materialise, isa, device, precision, replay, seed);
  }

  /** The same with every tensor kept or not. */
  public EngineOptions withMaterialise(boolean keep) {
    return new EngineOptions(
        backend, threads, tileRows, keep, isa, device, precision, replay, seed);
  }

  /** The same on another device. */
  public EngineOptions withDevice(int index) {
    return new EngineOptions(
        backend, threads, tileRows, materialise, isa, index, precision, replay, seed);
  }

  /** The same in another precision. */
  public EngineOptions withPrecision(Precision arithmetic) {
    return new EngineOptions(
        backend, threads, tileRows, materialise, isa, device, arithmetic, replay, seed);
  }

  /** The same with the rows elsewhere. */
  public EngineOptions withReplay(ReplayPlacement placement) {
    return new EngineOptions(
        backend, threads, tileRows, materialise, isa, device, precision, placement, seed);
  }

  /** The same with another seed. */
  public EngineOptions withSeed(long key) {
    return new EngineOptions(
        backend, threads, tileRows, materialise, isa, device, precision, replay, key);
  }

  /** {@code struct unifiedrl_options} in native order; its size tells the engine which version. */
  ByteBuffer toStruct() {
    ByteBuffer struct = ByteBuffer.allocateDirect(STRUCT_BYTES).order(ByteOrder.nativeOrder());
    struct.putInt(threads).putInt(tileRows).putInt(materialise ? 1 : 0).putInt(isa);
    struct.putInt(device).putInt(precision.code()).putInt(replay.code()).putInt(STRUCT_BYTES);
    struct.putLong(seed);
    return struct.flip();
  }
}
