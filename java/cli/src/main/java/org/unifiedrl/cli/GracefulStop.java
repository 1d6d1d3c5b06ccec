package org.unifiedrl.cli;

import java.util.concurrent.CompletableFuture;

/**
 * Ends a command on Ctrl-C or SIGTERM as if it had come to its end: it is told to stop, goes on
 * until it has, and its exit code is the process's.
 */
final class GracefulStop implements AutoCloseable {

  private static final CompletableFuture<Integer> EXIT = new CompletableFuture<>();

  private final Thread hook;

  /**
   * From now on a signal stops the command.
   *
   * @param stop tells it to end soon; called from another thread
   */
  GracefulStop(Runnable stop) {
    hook =
        new Thread(
            () -> {
              stop.run();
              // After a signal the JVM would end with the signal's code once its hooks have run.
              Runtime.getRuntime().halt(EXIT.join());
            },
            "stop");
    Runtime.getRuntime().addShutdownHook(hook);
  }

  /** Ends the process, once a command has returned its code. */
  static void exit(int code) {
    EXIT.complete(code);
    System.exit(code);
  }

  @Override
  public void close() {
    try {
      Runtime.getRuntime().removeShutdownHook(hook);
    } catch (IllegalStateException e) {
      // A signal has come: the hook waits for the exit code.
    }
  }
}
