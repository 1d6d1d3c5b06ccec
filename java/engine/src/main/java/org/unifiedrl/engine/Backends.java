package org.unifiedrl.engine;

import java.util.ArrayList;
import java.util.List;

/** The back ends of this build and what this machine can reach at best. */
public final class Backends {

  private Backends() {}

  /** All back ends, best first. */
  public static List<Device> list() {
    List<Device> devices = new ArrayList<>();
    for (int i = 0; i < Native.backendCount(); i++) {
      devices.add(
          new Device(Native.backendName(i), Native.backendScore(i), Native.backendDescription(i)));
    }
    return List.copyOf(devices);
  }

  /**
   * Best float32 matrix product of this machine.
   *
   * @param n rows and columns of the matrices
   * @param threads threads, at least 1
   * @param repeats measurements, of which the best counts
   * @return GFLOP/s, 2 n^3 operations a product
   */
  public static double measureSgemm(int n, int threads, int repeats) {
    double[] gflops = new double[1];
    Native.check(Native.measureSgemm(n, threads, repeats, gflops));
    return gflops[0];
  }

  /**
   * Bandwidth of gathering random rows beside that of copying as many bytes.
   *
   * @param gather bytes per second of the sampled gather
   * @param copy bytes per second of a plain copy
   */
  public record Bandwidth(double gather, double copy) {}

  /** Gathers {@code rows} random rows of a replay column {@code repeats} times. */
  public static Bandwidth measureGather(
      NativeReplay replay, int column, long rows, int repeats, long seed) {
    double[] gather = new double[1];
    double[] copy = new double[1];
    long address = replay.acquire();
    try {
      Native.check(Native.measureGather(address, column, rows, repeats, seed, gather, copy));
    } finally {
      replay.release();
    }
    return new Bandwidth(gather[0], copy[0]);
  }
}
