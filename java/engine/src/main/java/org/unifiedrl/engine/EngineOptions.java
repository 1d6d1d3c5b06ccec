package org.unifiedrl.engine;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * How an engine runs a program.
 *
 * @param backend "auto", "cpu", "reference" (double), "reference32" or "check:A,B", which runs two
 *     and compares every op
 * @param threads worker threads including the caller; 0: the processors this process may use
 * @param tileRows batch rows worked on at a time, a multiple of 16; 0: chosen from the cache size
 * @param materialise keep every tensor whole so that it can be read (slower, more memory)
 * @param isa vectorised loops: 0 best, 1 baseline, 2 AVX2, 3 AVX-512
 * @param seed key of every random draw
 */
public record EngineOptions(
    String backend, int threads, int tileRows, boolean materialise, int isa, long seed) {

  /** Defaults: "auto", all processors, seed 1. */
  public static final EngineOptions DEFAULT = new EngineOptions("auto", 0, 0, false, 0, 1);

  private static final int STRUCT_BYTES = 8 * Integer.BYTES + Long.BYTES;

  /** Checks the ranges. */
  public EngineOptions {
    if (backend == null || backend.isBlank()) {
      throw new IllegalArgumentException("backend must be a name such as auto, cpu or reference");
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
  }

  /** The same with another back end. */
  public EngineOptions withBackend(String name) {
    return new EngineOptions(name, threads, tileRows, materialise, isa, seed);
  }

  /** The same with another number of threads. */
  public EngineOptions withThreads(int count) {
    return new EngineOptions(backend, count, tileRows, materialise, isa, seed);
  }

  /** The same with every tensor kept or not. */
  public EngineOptions withMaterialise(boolean keep) {
    return new EngineOptions(backend, threads, tileRows, keep, isa, seed);
  }

  /** The same with another seed. */
  public EngineOptions withSeed(long key) {
    return new EngineOptions(backend, threads, tileRows, materialise, isa, key);
  }

  /** {@code struct unifiedrl_options}: eight int32 and one uint64 in native order. */
  ByteBuffer toStruct() {
    ByteBuffer struct = ByteBuffer.allocateDirect(STRUCT_BYTES).order(ByteOrder.nativeOrder());
    struct.putInt(threads).putInt(tileRows).putInt(materialise ? 1 : 0).putInt(isa);
    struct.putInt(0).putInt(0).putInt(0); // device, precision and replay: their defaults
    struct.putInt(STRUCT_BYTES).putLong(seed);
    return struct.flip();
  }
}
