package org.unifiedrl.engine;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.slf4j.LoggerFactory;

/**
 * Why the system's linker refused a library, and what helps. Its own messages name a symptom, such
 * as a segment that could not be mapped.
 */
final class LinkDiagnosis {

  /** The oldest C library that oneDNN's and our libraries work with. */
  static final String OLDEST_GLIBC = "2.34";

  /** Where JavaCPP, and we, unpack libraries of jars; its default is {@code ~/.javacpp/cache}. */
  static final String CACHE_PROPERTY = "org.bytedeco.javacpp.cachedir";

  private static final Pattern GLIBC_VERSION =
      Pattern.compile("version [`'](GLIBC_([0-9.]+))' not found");
  private static final Pattern MISSING_LIBRARY =
      Pattern.compile("(lib\\S+): cannot open shared object file");
  private static final Pattern GLIBC_RELEASE =
      Pattern.compile("GNU C Library [^\\n]{0,80}version ([0-9]+\\.[0-9]+)");

  private static final int ELF_HEADER = 64;
  private static final int ELF_MAGIC = 0x464c457f;
  private static final int X86_64 = 62;
  private static final int AARCH64 = 183;

  private final Path process;

  /**
   * Looks at the process of the given folder.
   *
   * @param process folder with the {@code maps} and {@code mountinfo} of this process
   */
  LinkDiagnosis(Path process) {
    this.process = process;
  }

  LinkDiagnosis() {
    this(Path.of("/proc/self"));
  }

  /**
   * Explains a refusal.
   *
   * @param library that could not be loaded
   * @param message of the linker
   * @return whole sentences, or nothing if the message is all there is to say
   */
  String of(Path library, String message) {
    if (message.contains("already loaded in another classloader")) {
      return "A library is loaded once in a JVM, and another class loader has done so: put the jars"
          + " of unifiedrl-engine and its dependencies where one class loader that all users share"
          + " finds them (the server's library folder, not each application's), or run one JVM for"
          + " each application.";
    }
    String loaded = read("maps");
    if (loaded.contains("/ld-musl-") || loaded.contains("/libc.musl-")) {
      return "This JVM runs on the C library musl (Alpine Linux), and the libraries are made for"
          + " glibc "
          + OLDEST_GLIBC
          + " or newer: use an image or a machine with glibc, such as Debian 12 or Ubuntu 22.04.";
    }
    String defect = defect(library);
    if (defect != null) {
      return defect;
    }
    Matcher version = GLIBC_VERSION.matcher(message);
    if (version.find()) {
      return "It was made for glibc %s, and this machine has %s: use a newer system, or build on this one with ./unifiedrl build (glibc %s is the oldest that does)."
          .formatted(version.group(2), glibc(loaded), OLDEST_GLIBC);
    }
    if (message.contains("failed to map segment")
        || message.contains("Operation not permitted")
        || message.contains("Permission denied")) {
      return forbidden(library);
    }
    Matcher missing = MISSING_LIBRARY.matcher(message);
    if (missing.find()) {
      String name = Path.of(missing.group(1)).getFileName().toString();
      return "The system lacks %s: install the package that has it%s."
          .formatted(name, name.startsWith("libstdc++") ? ", on Debian and Ubuntu libstdc++6" : "");
    }
    return "";
  }

  /**
   * Says so if not all of a library is there. To be asked before one is loaded: the linker maps
   * what the header promises, and a page behind the end of the file kills the process.
   *
   * @return a whole sentence, or null
   */
  static String cutOff(Path library) {
    try (FileChannel channel = FileChannel.open(library)) {
      ByteBuffer header = header(channel);
      if (!isElf(header)) {
        return null; // the linker says so
      }
      long end = ELF_HEADER;
      if (header.position() == ELF_HEADER) {
        // The table of sections is the last part of what linkers write.
        long sections = header.getLong(40);
        int size = header.getShort(58) & 0xffff;
        end = sections == 0 ? 0 : sections + (long) size * (header.getShort(60) & 0xffff);
      }
      return channel.size() >= end
          ? null
          : "%s is cut off: it has %d bytes, and at least %d belong to it. Delete it if it was unpacked; take another copy of the jar if it is so in there."
              .formatted(library, channel.size(), end);
    } catch (IOException e) {
      return null; // the linker says so
    }
  }

  /** What a look at the file shows: no library, or one of another architecture; null if neither. */
  private static String defect(Path library) {
    try (FileChannel channel = FileChannel.open(library)) {
      ByteBuffer header = header(channel);
      if (!isElf(header)) {
        return "It is no library: it does not begin as ELF files do. Take another copy of it, or of"
            + " the jar that it came from.";
      }
      int machine = header.getShort(18) & 0xffff;
      int expected =
          switch (System.getProperty("os.arch")) {
            case "amd64" -> X86_64;
            case "aarch64" -> AARCH64;
            default -> machine;
          };
      return machine == expected
          ? null
          : "It is made for %s, and this JVM runs on %s: use the jar or the build of this platform."
              .formatted(
                  machine == X86_64
                      ? "x86-64"
                      : machine == AARCH64 ? "aarch64" : "ELF machine " + machine,
                  System.getProperty("os.arch"));
    } catch (IOException e) {
      return "It cannot be read: " + e + ".";
    }
  }

  /** As much of the file as a header has; what is not there is 0. */
  private static ByteBuffer header(FileChannel channel) throws IOException {
    ByteBuffer header = ByteBuffer.allocate(ELF_HEADER).order(ByteOrder.LITTLE_ENDIAN);
    int read = 0;
    while (header.hasRemaining() && read >= 0) {
      read = channel.read(header);
    }
    return header;
  }

  private static boolean isElf(ByteBuffer header) {
    return header.position() >= Integer.BYTES && header.getInt(0) == ELF_MAGIC;
  }

  private String forbidden(Path library) {
    Path mount = mountWithoutExecution(library);
    return "%s: set -D%s=DIR to a folder where programs may be executed, for what is unpacked from jars, or unpack the libraries into such a folder and set -D%s to it."
        .formatted(
            mount != null
                ? "It lies on " + mount + ", which is mounted with 'noexec'"
                : "Programs may not be executed in "
                    + library.getParent()
                    + " (mount options, permissions or a security module)",
            CACHE_PROPERTY,
            NativeLibraries.PATH_PROPERTY);
  }

  /** The mount point of the file's file system if it is mounted so; else null. */
  private Path mountWithoutExecution(Path library) {
    Path file = library.toAbsolutePath().normalize();
    try {
      file = file.toRealPath();
    } catch (IOException e) {
      LoggerFactory.getLogger(LinkDiagnosis.class).debug("links of {} were not followed", file, e);
    }
    Path nearest = null;
    boolean forbidden = false;
    for (String line : read("mountinfo").lines().toList()) {
      // 36 35 98:0 /root /mount/point rw,noexec - tmpfs ...; see proc(5).
      List<String> fields = List.of(line.split(" ", -1));
      if (fields.size() > 5) {
        Path mount = Path.of(fields.get(4).replace("\\040", " "));
        // Of several on one point, the last hides the others.
        if (file.startsWith(mount)
            && (nearest == null || mount.getNameCount() >= nearest.getNameCount())) {
          nearest = mount;
          forbidden = List.of(fields.get(5).split(",", -1)).contains("noexec");
        }
      }
    }
    return forbidden ? nearest : null;
  }

  /** The release of the C library that this process runs with, as it tells itself. */
  private static String glibc(String maps) {
    Matcher path = Pattern.compile("(/\\S*/libc(?:\\.so\\.6|-[0-9.]+\\.so))").matcher(maps);
    if (path.find()) {
      try {
        byte[] content = Files.readAllBytes(Path.of(path.group(1)));
        Matcher release = GLIBC_RELEASE.matcher(new String(content, StandardCharsets.ISO_8859_1));
        if (release.find()) {
          return release.group(1);
        }
      } catch (IOException e) {
        LoggerFactory.getLogger(LinkDiagnosis.class).debug("the C library was not read", e);
      }
    }
    return "an older one";
  }

  private String read(String name) {
    try {
      return Files.readString(process.resolve(name), StandardCharsets.ISO_8859_1);
    } catch (IOException e) {
      return ""; // not this kind of system
    }
  }
}
