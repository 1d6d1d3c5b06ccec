package org.unifiedrl.engine.replay;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ArrowShardWriterTest {

  private static final ReplaySchema SCHEMA =
      new ReplaySchema(List.of(new ReplaySchema.Column("x", 1)), Map.of());

  @TempDir Path folder;

  private static void writeBatch(ArrowShardWriter writer, int rows) throws IOException {
    ByteBuffer[] fixed = {
      ByteBuffer.allocate(8 * rows),
      ByteBuffer.allocate(8 * rows),
      ByteBuffer.allocate(8 * rows),
      ByteBuffer.allocate(rows)
    };
    writer.writeBatch(rows, fixed, new ByteBuffer[] {ByteBuffer.allocate(4 * rows)});
  }

  /** What the file system could not keep is not taken for kept, though the next try succeeds. */
  @Test
  void aFileThatOnceCouldNotBeForcedIsNeverFinished() throws Exception {
    Path file = folder.resolve("shard.arrow");
    OnceUnforced channel = new OnceUnforced(file);
    ArrowShardWriter writer = new ArrowShardWriter(file, SCHEMA, channel);
    writeBatch(writer, 1);
    assertThat(channel.failed.getCount()).as("little is not forced").isEqualTo(1);
    writeBatch(writer, 1_200_000); // 34.8 MB
    channel.failed.await();
    assertThatThrownBy(
            () -> {
              writeBatch(writer, 1); // refused where the background has ended by now
              writer.finish();
            })
        .isInstanceOf(IOException.class)
        .hasMessage("the disk has gone");
    writer.dropTornBatch();
    assertThatThrownBy(writer::finish).hasMessage("the disk has gone");
    writer.close();
    assertThat(channel.isOpen()).isFalse();
  }

  /** A file that cannot be forced the first time. */
  private static final class OnceUnforced extends FileChannel {
    final CountDownLatch failed = new CountDownLatch(1);
    private final FileChannel file;

    OnceUnforced(Path path) throws IOException {
      file = FileChannel.open(path, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
    }

    @Override
    public void force(boolean metadata) throws IOException {
      if (failed.getCount() > 0) {
        failed.countDown();
        throw new IOException("the disk has gone");
      }
      file.force(metadata);
    }

    @Override
    public int write(ByteBuffer bytes) throws IOException {
      return file.write(bytes);
    }

    @Override
    public long position() throws IOException {
      return file.position();
    }

    @Override
    public FileChannel position(long position) throws IOException {
      file.position(position);
      return this;
    }

    @Override
    public FileChannel truncate(long size) throws IOException {
      file.truncate(size);
      return this;
    }

    @Override
    protected void implCloseChannel() throws IOException {
      file.close();
    }

    @Override
    public int read(ByteBuffer to) {
      throw new UnsupportedOperationException();
    }

    @Override
    public long read(ByteBuffer[] to, int offset, int length) {
      throw new UnsupportedOperationException();
    }

    @Override
    public long write(ByteBuffer[] bytes, int offset, int length) {
      throw new UnsupportedOperationException();
    }

    @Override
    public long size() throws IOException {
      return file.size();
    }

    @Override
    public long transferTo(long position, long count, WritableByteChannel target) {
      throw new UnsupportedOperationException();
    }

    @Override
    public long transferFrom(ReadableByteChannel source, long position, long count) {
      throw new UnsupportedOperationException();
    }

    @Override
    public int read(ByteBuffer to, long position) {
      throw new UnsupportedOperationException();
    }

    @Override
    public int write(ByteBuffer bytes, long position) {
      throw new UnsupportedOperationException();
    }

    @Override
    public MappedByteBuffer map(MapMode mode, long position, long size) {
      throw new UnsupportedOperationException();
    }

    @Override
    public FileLock lock(long position, long size, boolean shared) {
      throw new UnsupportedOperationException();
    }

    @Override
    public FileLock tryLock(long position, long size, boolean shared) {
      throw new UnsupportedOperationException();
    }
  }
}
