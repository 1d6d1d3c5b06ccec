package org.unifiedrl.engine;

import java.nio.ByteOrder;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * Checks, before any off-heap memory is touched, that this JVM was started as the engine needs.
 *
 * <p>Agrona reads {@code jdk.internal.misc.Unsafe}; without the option below it fails at its first
 * access with an error that names neither the cause nor the remedy.
 */
public final class JvmAccess {

  /** The option that the {@code java} command needs. */
  public static final String REQUIRED_OPTION =
      "--add-opens java.base/jdk.internal.misc=ALL-UNNAMED";

  private JvmAccess() {}

  /**
   * Returns if this JVM can run the engine.
   *
   * @throws IllegalStateException naming the missing option, or the byte order that is not
   *     supported
   */
  public static void check() {
    if (!isOpen("jdk.internal.misc")) {
      throw new IllegalStateException(
          "off-heap memory is closed to this JVM: start java with '"
              + REQUIRED_OPTION
              + "' (or put that line into the JDK_JAVA_OPTIONS environment variable)");
    }
    if (ByteOrder.nativeOrder() != ByteOrder.LITTLE_ENDIAN) {
      throw new IllegalStateException(
          "replay and checkpoint files are little-endian and are used in place: this machine is "
              + ByteOrder.nativeOrder()
              + ", which is not supported");
    }
  }

  static boolean isOpen(String javaBasePackage) {
    return Object.class.getModule().isOpen(javaBasePackage, UnsafeBuffer.class.getModule());
  }
}
