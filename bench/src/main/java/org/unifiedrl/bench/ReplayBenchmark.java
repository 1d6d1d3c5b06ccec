package org.unifiedrl.bench;

import java.nio.ByteBuffer;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;
import org.unifiedrl.engine.Engine;
import org.unifiedrl.engine.EngineOptions;
import org.unifiedrl.engine.Program;
import org.unifiedrl.engine.TensorRef;
import org.unifiedrl.engine.replay.ReplaySchema;

/**
 * Drawing a batch of rows at random places of a memory-mapped log, beside a plain copy of as many
 * bytes out of memory as large. Promise: at rows of 512 bytes and more the gather reaches 0.7 of
 * the copy's bandwidth, that is, {@code sampleAndGather} takes at most 1.43 times {@code copy}.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 3, time = 1)
public class ReplayBenchmark {

  private static final int BATCH = 4096;

  /** Bytes of the gathered column in all rows: far more than any cache. */
  private static final int STORE_BYTES = 200_000_000;

  /** Bytes of a row of the gathered column. */
  @Param({"512", "2048"})
  public int rowBytes;

  private RandomReplay replay;
  private Engine engine;
  private Engine sampler;
  private ByteBuffer store;
  private ByteBuffer batch;
  private int position;

  /** Writes a log, and touches every page of the memory that is copied. */
  @Setup
  public void create() {
    int width = rowBytes / Float.BYTES;
    int rows = STORE_BYTES / rowBytes / 20 * 20;
    replay = new RandomReplay(width, 1, 1, rows);
    Program program = new Program();
    TensorRef drawn = program.sample("rows", BATCH, 0);
    int state = replay.schema().columnIndex(ReplaySchema.STATE);
    program.gather("state", drawn, state, width, false, null, null);
    engine = Engine.create(program, replay.view(), EngineOptions.DEFAULT.withThreads(1));
    Program sampling = new Program();
    sampling.sample("rows", BATCH, 0);
    sampler = Engine.create(sampling, replay.view(), EngineOptions.DEFAULT.withThreads(1));
    store = ByteBuffer.allocateDirect(rows * rowBytes);
    for (int i = 0; i < store.capacity(); i++) {
      store.put(i, (byte) i);
    }
    batch = ByteBuffer.allocateDirect(BATCH * rowBytes);
  }

  /** Draws a batch of row numbers and gathers those rows. */
  @Benchmark
  public void sampleAndGather() {
    engine.run(1);
  }

  /** Draws a batch of row numbers only. */
  @Benchmark
  public void sample() {
    sampler.run(1);
  }

  /** Copies the next piece of memory, as many bytes as a batch has. */
  @Benchmark
  public ByteBuffer copy() {
    int bytes = batch.capacity();
    position = position + 2 * bytes <= store.capacity() ? position + bytes : 0;
    batch.put(0, store, position, bytes);
    return batch;
  }

  /** Frees everything. */
  @TearDown
  public void close() {
    engine.close();
    sampler.close();
    replay.close();
  }
}
