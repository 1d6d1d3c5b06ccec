package org.unifiedrl.engine;

import java.nio.ByteBuffer;
import java.nio.DoubleBuffer;
import java.nio.FloatBuffer;
import org.bytedeco.javacpp.annotation.Cast;
import org.bytedeco.javacpp.annotation.Name;
import org.bytedeco.javacpp.annotation.Platform;

/**
 * The C ABI of {@code native/include/unifiedrl.h}, one method a function; JavaCPP generates the JNI
 * code and the C++ compiler checks it against the header. Handles are addresses, buffers are
 * direct. Nothing is checked here: {@link NativeHandle} and its subclasses do that.
 */
@Platform(include = "unifiedrl.h", link = "unifiedrl")
final class Native {

  /** {@code UNIFIEDRL_ABI_VERSION} that these declarations were written for. */
  static final int ABI_VERSION = 4;

  static {
    NativeLibraries.load();
  }

  private Native() {}

  /** Runs the initialiser above if nothing has done so. */
  static void initialise() {}

  /** Turns a status that is not 0 into its exception, with the text of this thread's last error. */
  static void check(int status) {
    if (status != 0) {
      throw EngineException.of(status, error());
    }
  }

  @Name("unifiedrl_abi_version")
  static native int abiVersion();

  @Name("unifiedrl_error")
  static native @Cast("const char*") String error();

  @Name("unifiedrl_backend_count")
  static native int backendCount();

  @Name("unifiedrl_backend_name")
  static native @Cast("const char*") String backendName(int index);

  @Name("unifiedrl_backend_score")
  static native int backendScore(int index);

  @Name("unifiedrl_backend_description")
  static native @Cast("const char*") String backendDescription(int index);

  @Name("unifiedrl_backend_load")
  static native int backendLoad(@Cast("const char*") String name, @Cast("const char*") String path);

  @Name("unifiedrl_program_create")
  static native int programCreate(@Cast("unifiedrl_program**") long[] program);

  @Name("unifiedrl_program_close")
  static native void programClose(@Cast("unifiedrl_program*") long program);

  @Name("unifiedrl_program_tensor")
  static native int programTensor(
      @Cast("unifiedrl_program*") long program,
      @Cast("const char*") String name,
      int kind,
      long members,
      long rows,
      long columns,
      @Cast("int32_t*") int[] id);

  @Name("unifiedrl_program_network")
  static native int programNetwork(
      @Cast("unifiedrl_program*") long program,
      @Cast("const char*") String name,
      long members,
      @Cast("const int64_t*") long[] sizes,
      int count,
      int activation,
      @Cast("int32_t*") int[] id);

  @Name("unifiedrl_program_hyper")
  static native int programHyper(
      @Cast("unifiedrl_program*") long program,
      @Cast("const char*") String name,
      double value,
      @Cast("int32_t*") int[] id);

  @Name("unifiedrl_program_op")
  static native int programOp(
      @Cast("unifiedrl_program*") long program,
      @Cast("const char*") String name,
      int op,
      @Cast("const int32_t*") int[] tensors,
      int tensorCount,
      @Cast("const int32_t*") int[] networks,
      int networkCount,
      @Cast("const int64_t*") long[] integers,
      int integerCount,
      @Cast("const int32_t*") int[] hypers,
      int hyperCount);

  @Name("unifiedrl_replay_create")
  static native int replayCreate(
      @Cast("const int64_t*") long[] widths,
      int columns,
      @Cast("unifiedrl_replay**") long[] replay);

  @Name("unifiedrl_replay_close")
  static native void replayClose(@Cast("unifiedrl_replay*") long replay);

  @Name("unifiedrl_replay_add_addresses")
  static native int replayAdd(
      @Cast("unifiedrl_replay*") long replay,
      @Cast("const int64_t*") long[] columns,
      long last,
      long rows);

  @Name("unifiedrl_engine_create")
  static native int engineCreate(
      @Cast("const unifiedrl_program*") long program,
      @Cast("const unifiedrl_replay*") long replay,
      @Cast("const char*") String backend,
      @Cast("const unifiedrl_options*") ByteBuffer options,
      @Cast("unifiedrl_engine**") long[] engine);

  @Name("unifiedrl_engine_close")
  static native void engineClose(@Cast("unifiedrl_engine*") long engine);

  @Name("unifiedrl_engine_backend")
  static native @Cast("const char*") String engineBackend(
      @Cast("const unifiedrl_engine*") long engine);

  @Name("unifiedrl_engine_description")
  static native @Cast("const char*") String engineDescription(
      @Cast("const unifiedrl_engine*") long engine);

  @Name("unifiedrl_engine_run")
  static native int engineRun(@Cast("unifiedrl_engine*") long engine, long steps);

  @Name("unifiedrl_engine_step")
  static native long engineStep(@Cast("const unifiedrl_engine*") long engine);

  @Name("unifiedrl_engine_set_step")
  static native int engineSetStep(@Cast("unifiedrl_engine*") long engine, long step);

  @Name("unifiedrl_engine_set_hyper")
  static native int engineSetHyper(@Cast("unifiedrl_engine*") long engine, int id, double value);

  @Name("unifiedrl_engine_metrics")
  static native int engineMetrics(
      @Cast("unifiedrl_engine*") long engine,
      FloatBuffer destination,
      long maxRows,
      @Cast("int64_t*") long[] rows);

  @Name("unifiedrl_engine_bytes")
  static native long engineBytes(@Cast("const unifiedrl_engine*") long engine);

  @Name("unifiedrl_network_read")
  static native int networkRead(
      @Cast("const unifiedrl_engine*") long engine,
      int network,
      int section,
      FloatBuffer destination,
      long count);

  @Name("unifiedrl_network_write")
  static native int networkWrite(
      @Cast("unifiedrl_engine*") long engine,
      int network,
      int section,
      @Cast("const float*") FloatBuffer source,
      long count);

  @Name("unifiedrl_network_read64")
  static native int networkRead64(
      @Cast("const unifiedrl_engine*") long engine,
      int network,
      int section,
      DoubleBuffer destination,
      long count);

  @Name("unifiedrl_network_write64")
  static native int networkWrite64(
      @Cast("unifiedrl_engine*") long engine,
      int network,
      int section,
      @Cast("const double*") DoubleBuffer source,
      long count);

  @Name("unifiedrl_network_initialise")
  static native int networkInitialise(
      @Cast("unifiedrl_engine*") long engine, int network, @Cast("uint64_t") long seed);

  @Name("unifiedrl_tensor_write")
  static native int tensorWrite(
      @Cast("unifiedrl_engine*") long engine,
      int tensor,
      @Cast("const float*") FloatBuffer source,
      long count);

  @Name("unifiedrl_tensor_read")
  static native int tensorRead(
      @Cast("const unifiedrl_engine*") long engine,
      int tensor,
      FloatBuffer destination,
      long count);

  @Name("unifiedrl_tensor_read64")
  static native int tensorRead64(
      @Cast("const unifiedrl_engine*") long engine,
      int tensor,
      DoubleBuffer destination,
      long count);

  @Name("unifiedrl_policy_create")
  static native int policyCreate(
      @Cast("const int64_t*") long[] sizes,
      int count,
      int activation,
      @Cast("const float*") FloatBuffer parameters,
      @Cast("const float*") FloatBuffer shift,
      @Cast("const float*") FloatBuffer scale,
      int isa,
      @Cast("unifiedrl_policy**") long[] policy);

  @Name("unifiedrl_policy_close")
  static native void policyClose(@Cast("unifiedrl_policy*") long policy);

  @Name("unifiedrl_policy_run")
  static native int policyRun(
      @Cast("unifiedrl_policy*") long policy,
      @Cast("const float*") FloatBuffer x,
      long rows,
      FloatBuffer y);

  @Name("unifiedrl_measure_sgemm")
  static native int measureSgemm(
      long n, int threads, int repeats, @Cast("double*") double[] gflops);

  @Name("unifiedrl_measure_gather")
  static native int measureGather(
      @Cast("const unifiedrl_replay*") long replay,
      int column,
      long rows,
      int repeats,
      @Cast("uint64_t") long seed,
      @Cast("double*") double[] gather,
      @Cast("double*") double[] copy);
}
