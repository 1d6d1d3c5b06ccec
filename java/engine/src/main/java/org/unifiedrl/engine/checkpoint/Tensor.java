package org.unifiedrl.engine.checkpoint;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * A named array's type, shape and little-endian bytes, as safetensors stores them.
 *
 * <p>The bytes are shared with the caller, not copied: a direct view of native memory can be saved
 * as it is. They must not change while a file is written.
 *
 * @param type element type
 * @param shape extents, each at least 0; empty for a scalar
 * @param data exactly the elements, row-major, little-endian, from position to limit
 */
public record Tensor(Type type, long[] shape, ByteBuffer data) {

  /** Element types, by their names in safetensors. */
  public enum Type {
    F64(8),
    F32(4),
    F16(2),
    BF16(2),
    I64(8),
    I32(4),
    I16(2),
    I8(1),
    U64(8),
    U32(4),
    U16(2),
    U8(1),
    BOOL(1);

    private final int bytes;

    Type(int bytes) {
      this.bytes = bytes;
    }

    /** Bytes per element. */
    public int bytes() {
      return bytes;
    }
  }

  public Tensor {
    shape = shape.clone();
    data = data.slice().order(ByteOrder.LITTLE_ENDIAN);
    long expected = byteLength(type, shape);
    if (data.remaining() != expected) {
      throw new CheckpointException(
          "a tensor of type "
              + type
              + " and shape "
              + Arrays.toString(shape)
              + " has "
              + expected
              + " bytes, found "
              + data.remaining());
    }
  }

  /** Length of the data in bytes, or an exception where it overflows. */
  static long byteLength(Type type, long[] shape) {
    long length = type.bytes();
    for (long extent : shape) {
      // A zero extent does not excuse the others: their product must be sound by itself.
      if (extent < 0) {
        throw new CheckpointException("negative extent in shape " + Arrays.toString(shape));
      }
      try {
        length = Math.multiplyExact(length, extent);
      } catch (ArithmeticException e) {
        throw new CheckpointException("shape " + Arrays.toString(shape) + " overflows", e);
      }
    }
    return length;
  }

  /** A copy of float32 values. */
  public static Tensor of(float[] values, long... shape) {
    ByteBuffer data = buffer((long) values.length * Float.BYTES);
    data.asFloatBuffer().put(values);
    return new Tensor(Type.F32, shape, data);
  }

  /** A copy of float64 values. */
  public static Tensor of(double[] values, long... shape) {
    ByteBuffer data = buffer((long) values.length * Double.BYTES);
    data.asDoubleBuffer().put(values);
    return new Tensor(Type.F64, shape, data);
  }

  /** A copy of int64 values. */
  public static Tensor of(long[] values, long... shape) {
    ByteBuffer data = buffer((long) values.length * Long.BYTES);
    data.asLongBuffer().put(values);
    return new Tensor(Type.I64, shape, data);
  }

  /** Raw bytes as a one-dimensional U8 tensor; not copied. */
  public static Tensor of(ByteBuffer bytes) {
    return new Tensor(Type.U8, new long[] {bytes.remaining()}, bytes);
  }

  private static ByteBuffer buffer(long bytes) {
    return ByteBuffer.allocate(Math.toIntExact(bytes)).order(ByteOrder.LITTLE_ENDIAN);
  }

  /** The values as a new array; the type must be F32. */
  public float[] toFloats() {
    require(Type.F32);
    float[] values = new float[data.remaining() / Float.BYTES];
    data().asFloatBuffer().get(values);
    return values;
  }

  /** The values as a new array; the type must be F64. */
  public double[] toDoubles() {
    require(Type.F64);
    double[] values = new double[data.remaining() / Double.BYTES];
    data().asDoubleBuffer().get(values);
    return values;
  }

  /** The values as a new array; the type must be I64. */
  public long[] toLongs() {
    require(Type.I64);
    long[] values = new long[data.remaining() / Long.BYTES];
    data().asLongBuffer().get(values);
    return values;
  }

  private void require(Type wanted) {
    if (type != wanted) {
      throw new CheckpointException("a tensor of type " + wanted + " was expected, found " + type);
    }
  }

  /** A new view of the bytes, little-endian, position 0. */
  @Override
  public ByteBuffer data() {
    return data.duplicate().order(ByteOrder.LITTLE_ENDIAN);
  }

  @Override
  public long[] shape() {
    return shape.clone();
  }

  /** Equal type, shape and bytes. */
  @Override
  public boolean equals(Object other) {
    return other instanceof Tensor that
        && type == that.type
        && Arrays.equals(shape, that.shape)
        && data.equals(that.data);
  }

  @Override
  public int hashCode() {
    return 31 * (31 * type.hashCode() + Arrays.hashCode(shape)) + data.hashCode();
  }

  @Override
  public String toString() {
    return type + Arrays.toString(shape);
  }
}
