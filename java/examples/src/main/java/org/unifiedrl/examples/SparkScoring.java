package org.unifiedrl.examples;

import java.io.Serializable;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.api.java.function.MapPartitionsFunction;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.util.TaskCompletionListener;
import org.unifiedrl.engine.Activation;
import org.unifiedrl.engine.Engine;
import org.unifiedrl.engine.EngineOptions;
import org.unifiedrl.engine.InferencePolicy;
import org.unifiedrl.engine.NativeReplay;
import org.unifiedrl.engine.NetworkRef;
import org.unifiedrl.engine.Program;
import org.unifiedrl.engine.Program.AdamHypers;
import org.unifiedrl.engine.Program.Forward;
import org.unifiedrl.engine.Program.SquaredError;
import org.unifiedrl.engine.Section;
import org.unifiedrl.engine.Tape;
import org.unifiedrl.engine.TensorRef;

/**
 * Spark reads Parquet, the driver trains, and executors score: the weights travel as one broadcast
 * array, and each task has a policy of its own.
 */
public final class SparkScoring {

  private static final StructType SCORED =
      new StructType().add("id", DataTypes.LongType).add("score", DataTypes.FloatType);

  private SparkScoring() {}

  /**
   * A network that travels.
   *
   * @param sizes inputs, hidden units, 1 output
   * @param parameters in the flat layout W_1, b_1, W_2, b_2, ...
   */
  public record Model(int[] sizes, float[] parameters) implements Serializable {}

  /**
   * Trains on all rows, on the driver: they are collected into direct buffers that the engine draws
   * its batches from.
   *
   * @param data columns {@code features} (array of float, all of one length) and {@code label}
   *     (float)
   * @param steps training steps of 128 rows
   */
  public static Model train(Dataset<Row> data, int width, int steps) {
    int rows = Math.toIntExact(data.count());
    ByteBuffer features = direct(rows * width * Float.BYTES);
    ByteBuffer labels = direct(rows * Float.BYTES);
    ByteBuffer last = direct(rows);
    Iterator<Row> iterator = data.select("features", "label").toLocalIterator();
    while (iterator.hasNext()) {
      Row row = iterator.next();
      for (float feature : row.<Float>getList(0)) {
        features.putFloat(feature);
      }
      labels.putFloat(row.getFloat(1));
      last.put((byte) 1); // no row follows another
    }
    Program p = new Program();
    TensorRef drawn = p.sample("drawn", 128, 0);
    TensorRef x = p.gather("features", drawn, 0, width, false, null, null);
    TensorRef y = p.gather("labels", drawn, 1, 1, false, null, null);
    NetworkRef network = p.network("network", 1, Activation.LINEAR, width, 32, 1);
    Forward forward = p.mlpForward("forward", network, x, Tape.FULL);
    SquaredError error = p.squaredError("error", forward.y(), y);
    p.mlpBackward("backward", forward, error.gradient());
    p.adam(
        "adam",
        network,
        new AdamHypers(
            p.hyper("rate", 3e-3),
            p.hyper("beta1", 0.9),
            p.hyper("beta2", 0.999),
            p.hyper("epsilon", 1e-8),
            p.hyper("decay", 0),
            p.hyper("clip", 0)));
    try (NativeReplay replay =
            NativeReplay.ofMemory(
                new int[] {width, 1}, List.of(features.flip(), labels.flip()), last.flip());
        Engine engine = Engine.create(p, replay, EngineOptions.DEFAULT)) {
      engine.initialise(network, 1);
      engine.run(steps);
      FloatBuffer weights = Engine.directFloats(network.size());
      engine.readNetwork(network, Section.PARAMETERS, weights);
      float[] parameters = new float[weights.remaining()];
      weights.get(parameters);
      int[] sizes = network.sizes().stream().mapToInt(Integer::intValue).toArray();
      return new Model(sizes, parameters);
    }
  }

  /**
   * Scores all rows, in executors.
   *
   * @param data columns {@code id} (long) and {@code features}
   * @return columns {@code id} and {@code score}
   */
  public static Dataset<Row> score(SparkSession spark, Dataset<Row> data, Model model) {
    Broadcast<Model> broadcast =
        JavaSparkContext.fromSparkContext(spark.sparkContext()).broadcast(model);
    return data.select("id", "features").mapPartitions(new Scorer(broadcast), Encoders.row(SCORED));
  }

  /** Scores the rows of a partition, in blocks. */
  private record Scorer(Broadcast<Model> model) implements MapPartitionsFunction<Row, Row> {

    private static final int BLOCK = 256;

    @Override
    public Iterator<Row> call(Iterator<Row> rows) {
      Model network = model.value();
      int width = network.sizes()[0];
      // Of this task alone: a policy serves one thread at a time.
      InferencePolicy policy =
          InferencePolicy.create(
              network.sizes(), Activation.LINEAR, network.parameters(), null, null);
      TaskCompletionListener close = context -> policy.close();
      TaskContext.get().addTaskCompletionListener(close);
      FloatBuffer features = Engine.directFloats((long) BLOCK * width);
      FloatBuffer scores = Engine.directFloats(BLOCK);
      return new Iterator<>() {
        private Iterator<Row> block = List.<Row>of().iterator();

        @Override
        public boolean hasNext() {
          return block.hasNext() || rows.hasNext();
        }

        @Override
        public Row next() {
          if (!block.hasNext()) {
            block = scored(rows, policy, features, scores).iterator();
          }
          return block.next();
        }
      };
    }

    private static List<Row> scored(
        Iterator<Row> rows, InferencePolicy policy, FloatBuffer features, FloatBuffer scores) {
      List<Long> ids = new ArrayList<>();
      features.clear();
      while (rows.hasNext() && ids.size() < BLOCK) {
        Row row = rows.next();
        ids.add(row.getLong(0));
        for (float feature : row.<Float>getList(1)) {
          features.put(feature);
        }
      }
      policy.run(features.flip(), ids.size(), scores);
      List<Row> block = new ArrayList<>();
      for (int i = 0; i < ids.size(); i++) {
        block.add(RowFactory.create(ids.get(i), scores.get(i)));
      }
      return block;
    }
  }

  private static ByteBuffer direct(int bytes) {
    return ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder());
  }
}
