package org.unifiedrl.engine;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/** The back ends of this build and what this machine can reach at best. */
public final class Backends {

  /** Name of the back end whose library is loaded when it is first asked for. */
  public static final String CUDA = "cuda";

  /** What the name of a pair of back ends begins with: {@code check:A,B}. */
  public static final String CHECK = "check:";

  private Backends() {}

  /**
   * All back ends, best first, those that cannot work here last. The CUDA back end is always among
   * them.
   *
   * @throws EngineException if the native engine could not be loaded
   */
  public static List<Device> list() {
    NativeLibraries.require();
    CudaLibrary cuda = CudaLibrary.get();
    List<Device> devices = new ArrayList<>();
    for (int i = 0; i < Native.backendCount(); i++) {
      if (!Native.backendName(i).equals(CUDA)) {
        devices.add(device(i, ""));
      } else if (cuda.problem() == null) {
        devices.add(device(i, cuda.where()));
      }
    }
    if (cuda.problem() != null) {
      devices.add(new Device(CUDA, 0, cuda.problem(), cuda.where()));
    }
    devices.sort(Comparator.comparingInt(Device::score).reversed());
    return List.copyOf(devices);
  }

  /**
   * Whether there is a back end of that name in this build, be it one that cannot work here. Loads
   * no library of a back end.
   *
   * @throws EngineException if the native engine could not be loaded
   */
  public static boolean exists(String name) {
    NativeLibraries.require();
    return name.equals(CUDA)
        || IntStream.range(0, Native.backendCount())
            .anyMatch(i -> Native.backendName(i).equals(name));
  }

  private static Device device(int index, String library) {
    return new Device(
        Native.backendName(index),
        Native.backendScore(index),
        Native.backendDescription(index),
        library);
  }

  /**
   * Version of the native interface that is loaded.
   *
   * @throws EngineException if the native engine could not be loaded
   */
  public static int abiVersion() {
    NativeLibraries.require();
    return Native.abiVersion();
  }

  /**
   * Best float32 matrix product of this machine.
   *
   * @param n rows and columns of the matrices
   * @param threads threads, at least 1
   * @param repeats measurements, of which the best counts
   * @return GFLOP/s, 2 n^3 operations a product
   * @throws EngineException if an argument is out of range, there is not enough memory, or the
   *     native engine could not be loaded
   */
  public static double measureSgemm(int n, int threads, int repeats) {
    NativeLibraries.require();
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

  /**
   * Gathers random rows of a replay column and copies as many bytes in one piece.
   *
   * @param column index of the column in the replay's schema
   * @param rows rows of one gather, at least 1
   * @param repeats measurements, of which the best counts, at least 1
   * @param seed key of the draws
   * @throws IllegalStateException if the replay view is closed
   * @throws EngineException if an argument is out of range or there is not enough memory
   */
  public static Bandwidth measureGather(
      NativeReplay replay, int column, long rows, int repeats, long seed) {
    double[] gather = new double[1];
    double[] copy = new double[1];
    long address = replay.acquire();
    try {
      replay.checkFiles();
      Native.check(Native.measureGather(address, column, rows, repeats, seed, gather, copy));
    } finally {
      replay.release();
    }
    return new Bandwidth(gather[0], copy[0]);
  }
}
