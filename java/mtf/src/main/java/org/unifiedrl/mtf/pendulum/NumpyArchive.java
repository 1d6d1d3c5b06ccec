package org.unifiedrl.mtf.pendulum;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.zip.ZipEntry;
import java.util.zip.ZipException;
import java.util.zip.ZipFile;

/**
 * Arrays of a file that {@code numpy.savez} wrote: a zip archive with one {@code .npy} an array
 * (NEP 1), of which little-endian float32 and bool in C order are read.
 */
final class NumpyArchive implements AutoCloseable {

  private static final byte[] MAGIC = {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y'};
  private static final Pattern TYPE = Pattern.compile("'descr': *'([^']*)'");
  private static final Pattern ORDER = Pattern.compile("'fortran_order': *(True|False)");
  private static final Pattern SHAPE = Pattern.compile("'shape': *\\(([^)]*)\\)");

  /** More values than this are no benchmark's. */
  private static final long MOST_VALUES = 1L << 28;

  private final Path file;
  private final ZipFile zip;

  /** Opens a file; {@link IOException} if it is none of that kind. */
  NumpyArchive(Path file) throws IOException {
    this.file = file;
    try {
      zip = new ZipFile(file.toFile());
    } catch (ZipException e) {
      throw new IOException(file + " is no .npz file: " + e.getMessage(), e);
    }
  }

  /**
   * Reads an array.
   *
   * @param columns values in a row, for the check of its shape; 1 also for a flat array
   * @return row-major [rows, columns]; bool as 0 and 1
   */
  float[] read(String name, int columns) throws IOException {
    ZipEntry entry = zip.getEntry(name + ".npy");
    if (entry == null) {
      throw new IOException(file + " has no array '" + name + "'");
    }
    byte[] bytes;
    try (var in = zip.getInputStream(entry)) {
      bytes = in.readAllBytes();
    }
    ByteBuffer buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < MAGIC.length; i++) {
      require(buffer.remaining() > 6 && buffer.get() == MAGIC[i], name, "no .npy header");
    }
    int major = buffer.get();
    buffer.get(); // minor version
    int length = major == 1 ? Short.toUnsignedInt(buffer.getShort()) : buffer.getInt();
    require(length >= 0 && length <= buffer.remaining(), name, "a header that is cut off");
    String header = new String(bytes, buffer.position(), length, StandardCharsets.ISO_8859_1);
    buffer.position(buffer.position() + length);

    String type = find(TYPE, header, name);
    require(find(ORDER, header, name).equals("False"), name, "Fortran order: expected C order");
    long values = 1;
    String shape = find(SHAPE, header, name);
    String[] sizes = shape.isBlank() ? new String[0] : shape.split(",");
    long last = 1;
    for (String size : sizes) {
      if (!size.isBlank()) {
        last = Long.parseLong(size.strip());
        values *= last;
        require(values >= 0 && values <= MOST_VALUES, name, "too many values");
      }
    }
    boolean flat = columns == 1 && sizes.length <= 2;
    require(flat || last == columns, name, "shape (" + shape + "): expected rows of " + columns);
    int width = type.equals("<f4") ? Float.BYTES : 1;
    require(type.equals("<f4") || type.equals("|b1"), name, type + ": expected <f4 or |b1");
    require(values * width == buffer.remaining(), name, "another length than its header says");
    float[] read = new float[(int) values];
    for (int i = 0; i < read.length; i++) {
      read[i] = width == 1 ? buffer.get() : buffer.getFloat();
    }
    return read;
  }

  private String find(Pattern pattern, String header, String name) throws IOException {
    Matcher matcher = pattern.matcher(header);
    require(matcher.find(), name, "a header that cannot be read: " + header.strip());
    return matcher.group(1);
  }

  private void require(boolean holds, String array, String found) throws IOException {
    if (!holds) {
      throw new IOException(file + ": array '" + array + "' has " + found);
    }
  }

  @Override
  public void close() throws IOException {
    zip.close();
  }
}
