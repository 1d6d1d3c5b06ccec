package org.unifiedrl.engine.replay;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.memory.RootAllocator;
import org.apache.arrow.vector.BigIntVector;
import org.apache.arrow.vector.Float4Vector;
import org.apache.arrow.vector.UInt1Vector;
import org.apache.arrow.vector.VectorSchemaRoot;
import org.apache.arrow.vector.complex.FixedSizeListVector;
import org.apache.arrow.vector.ipc.ArrowFileReader;
import org.apache.arrow.vector.ipc.ArrowFileWriter;
import org.apache.arrow.vector.types.FloatingPointPrecision;
import org.apache.arrow.vector.types.pojo.ArrowType;
import org.apache.arrow.vector.types.pojo.Field;
import org.apache.arrow.vector.types.pojo.FieldType;
import org.apache.arrow.vector.types.pojo.Schema;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.unifiedrl.engine.PythonScript;

/** Arrow's own Java library reads what we write and writes what we read. */
class ArrowInteropTest {

  private static final ArrowType FLOAT = new ArrowType.FloatingPoint(FloatingPointPrecision.SINGLE);
  private static final ArrowType LONG = new ArrowType.Int(64, true);
  private static final ArrowType BYTE = new ArrowType.Int(8, false);

  @TempDir Path folder;

  @Test
  void arrowReadsOurShards() throws IOException {
    SampleData.write(folder, 21, 50, new ReplayWriter.Options(10_000, 1000));
    try (Replay replay = Replay.open(folder);
        BufferAllocator allocator = new RootAllocator();
        FileChannel channel =
            FileChannel.open(folder.resolve("shard-00000.arrow"), StandardOpenOption.READ);
        ArrowFileReader reader = new ArrowFileReader(channel, allocator)) {
      VectorSchemaRoot root = reader.getVectorSchemaRoot();
      assertThat(root.getSchema().getCustomMetadata()).isEqualTo(replay.schema().metadata());
      assertThat(reader.getRecordBlocks()).hasSize(replay.segmentCount());
      int row = 0;
      while (reader.loadNextBatch()) {
        for (int i = 0; i < root.getRowCount(); i++, row++) {
          assertThat(((BigIntVector) root.getVector("session_id")).get(i))
              .isEqualTo(replay.sessionId(row));
          assertThat(((BigIntVector) root.getVector("timestamp")).get(i))
              .isEqualTo(replay.timestamp(row));
          assertThat(((UInt1Vector) root.getVector("last")).get(i) != 0)
              .isEqualTo(replay.isLast(row));
          for (int c = 0; c < replay.schema().columns().size(); c++) {
            ReplaySchema.Column column = replay.schema().columns().get(c);
            float[] expected = new float[column.width()];
            replay.get(row, c, expected, 0);
            assertThat((List<?>) root.getVector(column.name()).getObject(i))
                .isEqualTo(boxed(expected));
          }
        }
      }
      assertThat(row).isEqualTo((int) replay.rows());
    }
  }

  private static List<Float> boxed(float[] values) {
    List<Float> list = new ArrayList<>();
    for (float value : values) {
      list.add(value);
    }
    return list;
  }

  @Test
  void weReadArrowsFilesWithNullableFieldsAndNoChecksums() throws IOException {
    Path file = folder.resolve("arrow.arrow");
    float[][] rows = writeWithArrow(file, fields(FLOAT), 2, false);
    try (Replay replay = Replay.open(file)) {
      assertThat(replay.rows()).isEqualTo(rows.length);
      assertThat(replay.segmentCount()).isEqualTo(2);
      assertThat(replay.schema().metadata()).containsEntry("environment", "arrow");
      for (int row = 0; row < rows.length; row++) {
        assertThat(ReplayTest.readRow(replay, row)).containsExactly(rows[row]);
        assertThat(replay.sessionId(row)).isEqualTo(row / 2);
      }
    }
  }

  @Test
  void nullsOtherTypesAndMissingColumnsAreRefused() throws IOException {
    Path nulls = folder.resolve("nulls.arrow");
    writeWithArrow(nulls, fields(FLOAT), 1, true);
    assertThatThrownBy(() -> Replay.open(nulls))
        .isInstanceOf(ReplayException.class)
        .hasMessageContaining("nulls.arrow, record batch 0, column 'reward' has 1 nulls");

    Path doubles = folder.resolve("doubles.arrow");
    writeEmpty(doubles, fields(new ArrowType.FloatingPoint(FloatingPointPrecision.DOUBLE)));
    assertThatThrownBy(() -> Replay.open(doubles))
        .isInstanceOf(ReplayException.class)
        .hasMessageContaining("column 'reward': expected a fixed-size list of float32");

    Path lacking = folder.resolve("lacking.arrow");
    writeEmpty(lacking, fields(FLOAT).subList(0, 3));
    assertThatThrownBy(() -> Replay.open(lacking))
        .isInstanceOf(ReplayException.class)
        .hasMessageContaining("no column 'last'");

    Path empty = folder.resolve("empty.arrow");
    writeEmpty(empty, fields(FLOAT));
    assertThatThrownBy(() -> Replay.open(empty))
        .isInstanceOf(ReplayException.class)
        .hasMessageContaining("no rows in");
  }

  @Test
  void pyarrowReadsOurFilesAndWeReadItsFiles() throws IOException, InterruptedException {
    SampleData.write(folder.resolve("ours"), 23, 40, new ReplayWriter.Options(10_000, 1000));
    PythonScript.run(
        "import pyarrow as pa",
        """
        source, folder = sys.argv[1:]
        table = pa.ipc.open_file(pa.memory_map(source)).read_all()
        assert table.schema.metadata[b"environment"] == b"sample"
        def write(name, table, **options):
            options = pa.ipc.IpcWriteOptions(**options)
            with pa.ipc.new_file(f"{folder}/{name}.arrow", table.schema, options=options) as file:
                file.write_table(table)
        write("plain", table.combine_chunks())
        write("compressed", table, compression="lz4")
        users = table.schema.get_field_index("user_id")
        write("encoded", table.set_column(users, "user_id", table["user_id"].dictionary_encode()))
        """,
        folder.resolve("ours").resolve("shard-00000.arrow"),
        folder);
    try (Replay ours = Replay.open(folder.resolve("ours"));
        Replay theirs = Replay.open(folder.resolve("plain.arrow"))) {
      assertThat(theirs.segmentCount()).isEqualTo(1);
      assertThat(theirs.rows()).isEqualTo(ours.rows());
      assertThat(theirs.schema()).isEqualTo(ours.schema());
      for (long row = 0; row < ours.rows(); row++) {
        assertThat(ReplayTest.readRow(theirs, row)).containsExactly(ReplayTest.readRow(ours, row));
      }
    }
    assertThatThrownBy(() -> Replay.open(folder.resolve("compressed.arrow")))
        .isInstanceOf(ReplayException.class)
        .hasMessageContaining("has compressed buffers")
        .hasMessageContaining("write it with compression off");
    assertThatThrownBy(() -> Replay.open(folder.resolve("encoded.arrow")))
        .isInstanceOf(ReplayException.class)
        .hasMessageContaining("has dictionary-encoded columns");
  }

  /** session_id, user_id, timestamp, last, state [3], and reward as a plain column. */
  private static List<Field> fields(ArrowType reward) {
    return List.of(
        new Field("session_id", FieldType.nullable(LONG), null),
        new Field("user_id", FieldType.nullable(LONG), null),
        new Field("timestamp", FieldType.nullable(LONG), null),
        new Field("last", FieldType.nullable(BYTE), null),
        new Field(
            "state",
            FieldType.nullable(new ArrowType.FixedSizeList(3)),
            List.of(new Field("item", FieldType.nullable(FLOAT), null))),
        new Field("reward", FieldType.nullable(reward), null));
  }

  private static void writeEmpty(Path file, List<Field> fields) throws IOException {
    try (BufferAllocator allocator = new RootAllocator();
        VectorSchemaRoot root = VectorSchemaRoot.create(new Schema(fields), allocator);
        FileChannel channel =
            FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
        ArrowFileWriter writer = new ArrowFileWriter(root, null, channel)) {
      writer.start();
      writer.end();
    }
  }

  private static float[][] writeWithArrow(
      Path file, List<Field> fields, int batches, boolean withNull) throws IOException {
    SplittableRandom random = new SplittableRandom(22);
    float[][] rows = new float[10 * batches][4];
    try (BufferAllocator allocator = new RootAllocator();
        VectorSchemaRoot root =
            VectorSchemaRoot.create(new Schema(fields, Map.of("environment", "arrow")), allocator);
        FileChannel channel =
            FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
        ArrowFileWriter writer = new ArrowFileWriter(root, null, channel)) {
      writer.start();
      for (int batch = 0; batch < batches; batch++) {
        root.allocateNew();
        FixedSizeListVector states = (FixedSizeListVector) root.getVector("state");
        Float4Vector items = (Float4Vector) states.getDataVector();
        for (int i = 0; i < 10; i++) {
          int row = 10 * batch + i;
          for (int k = 0; k < 4; k++) {
            rows[row][k] = (float) random.nextDouble();
          }
          ((BigIntVector) root.getVector("session_id")).setSafe(i, row / 2);
          ((BigIntVector) root.getVector("user_id")).setSafe(i, 1);
          ((BigIntVector) root.getVector("timestamp")).setSafe(i, row);
          ((UInt1Vector) root.getVector("last")).setSafe(i, row % 2);
          states.setNotNull(i);
          for (int k = 0; k < 3; k++) {
            items.setSafe(3 * i + k, rows[row][k]);
          }
          ((Float4Vector) root.getVector("reward")).setSafe(i, rows[row][3]);
        }
        if (withNull) {
          ((Float4Vector) root.getVector("reward")).setNull(4);
        }
        root.setRowCount(10);
        writer.writeBatch();
      }
      writer.end();
    }
    return rows;
  }
}
