package org.unifiedrl.examples;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SparkScoringTest {

  private static final int ROWS = 4_000;
  private static final int WIDTH = 3;

  private static final StructType SCHEMA =
      new StructType()
          .add("id", DataTypes.LongType)
          .add("features", DataTypes.createArrayType(DataTypes.FloatType))
          .add("label", DataTypes.FloatType);

  @Test
  void parquetIsTrainedOnByTheDriverAndScoredByExecutors(@TempDir Path folder) {
    Random random = new Random(11);
    List<Row> rows = new ArrayList<>();
    Map<Long, float[]> features = new HashMap<>();
    double variance = 0;
    Map<Long, Float> labels = new HashMap<>();
    for (long id = 0; id < ROWS; id++) {
      float[] x = new float[WIDTH];
      List<Float> boxed = new ArrayList<>();
      for (int i = 0; i < WIDTH; i++) {
        x[i] = (float) random.nextGaussian();
        boxed.add(x[i]);
      }
      float label = x[0] * x[1] + x[2];
      variance += label * label / ROWS;
      rows.add(RowFactory.create(id, boxed, label));
      features.put(id, x);
      labels.put(id, label);
    }
    Collections.shuffle(rows, random);
    String file = folder.resolve("log.parquet").toString();
    SparkSession spark =
        SparkSession.builder()
            .master("local[2]")
            .config("spark.ui.enabled", false)
            .config("spark.sql.shuffle.partitions", 2)
            .config("spark.sql.codegen.wholeStage", false) // compiling costs more than it saves
            .config("spark.driver.host", "127.0.0.1")
            .config("spark.driver.bindAddress", "127.0.0.1")
            .config("spark.sql.warehouse.dir", folder.resolve("warehouse").toString())
            .config("spark.local.dir", folder.resolve("local").toString())
            .getOrCreate();
    try {
      spark.createDataFrame(rows, SCHEMA).repartition(4).write().parquet(file);
      Dataset<Row> log = spark.read().parquet(file);
      SparkScoring.Model model = SparkScoring.train(log, WIDTH, 2_000);
      Dataset<Row> scores = SparkScoring.score(spark, log.repartition(3), model);
      assertThat(scores.javaRDD().getNumPartitions()).isEqualTo(3);
      List<Row> collected = scores.collectAsList();
      assertThat(collected).hasSize(ROWS);
      assertThat(collected.stream().map(row -> row.getLong(0)).distinct()).hasSize(ROWS);
      double error = 0;
      for (Row row : collected) {
        double score = row.getFloat(1);
        assertThat(score)
            .as("row " + row.getLong(0))
            .isCloseTo(network(model, features.get(row.getLong(0))), within(1e-4));
        double off = score - labels.get(row.getLong(0));
        error += off * off / ROWS;
      }
      assertThat(error).isLessThan(variance / 20);
    } finally {
      spark.stop();
    }
  }

  /** The network written down again, in double. */
  private static double network(SparkScoring.Model model, float[] x) {
    int hidden = model.sizes()[1];
    float[] p = model.parameters();
    int bias1 = WIDTH * hidden;
    int weight2 = bias1 + hidden;
    double y = p[weight2 + hidden];
    for (int h = 0; h < hidden; h++) {
      double z = p[bias1 + h];
      for (int i = 0; i < WIDTH; i++) {
        z += (double) x[i] * p[i * hidden + h];
      }
      y += Math.max(0, z) * p[weight2 + h];
    }
    return y;
  }
}
