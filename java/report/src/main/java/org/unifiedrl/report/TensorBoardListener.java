package org.unifiedrl.report;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import org.unifiedrl.mtf.experiment.MetricsListener;

/**
 * Metrics as TensorBoard event files: every training, and every part of one that was resumed, is a
 * file of its own. A resumed training's file tells readers to drop what was heard beyond its
 * checkpoint.
 *
 * <p>Tags are the metrics' names; those of one part only are {@code training/NAME}, and resources
 * {@code resources/NAME}.
 */
public final class TensorBoardListener implements MetricsListener {

  /** Name of the folder of event files in a run folder. */
  public static final String FOLDER = "tensorboard";

  private static final String PREFIX = "events.out.tfevents.";

  private final Path folder;
  private EventFile file;

  /**
   * Writes into a run folder's {@link #FOLDER}; nothing happens before training begins.
   *
   * @param run the run folder
   */
  public TensorBoardListener(Path run) {
    folder = run.resolve(FOLDER);
  }

  @Override
  public void begin(long step, long steps) {
    close();
    try {
      Files.createDirectories(folder);
      file =
          new EventFile(
              folder.resolve(PREFIX + String.format(Locale.ROOT, "%010d", next()) + ".unifiedrl"));
      file.restart(step + 1);
    } catch (IOException e) {
      throw failed(e);
    }
  }

  /** Readers take files in the order of their names, which begin with the second. */
  private long next() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      List<String> names =
          files
              .map(path -> path.getFileName().toString())
              .filter(name -> name.matches("events\\.out\\.tfevents\\.[0-9]{10}\\..*"))
              .toList();
      long last =
          names.stream()
              .mapToLong(name -> Long.parseLong(name.substring(PREFIX.length()).substring(0, 10)))
              .max()
              .orElse(0);
      return Math.max(last + 1, System.currentTimeMillis() / 1000);
    }
  }

  @Override
  public void metrics(long step, Map<String, Double> values) {
    write("training/", step, values);
  }

  @Override
  public void resources(long step, Map<String, Double> values) {
    write("resources/", step, values);
  }

  private void write(String group, long step, Map<String, Double> values) {
    Map<String, Double> tagged = new LinkedHashMap<>();
    values.forEach((name, value) -> tagged.put(name.indexOf('/') < 0 ? group + name : name, value));
    try {
      file.scalars(step, tagged);
    } catch (IOException e) {
      throw failed(e);
    }
  }

  @Override
  public void close() {
    try {
      if (file != null) {
        file.close();
      }
    } catch (IOException e) {
      throw failed(e);
    } finally {
      file = null;
    }
  }

  private UncheckedIOException failed(IOException e) {
    return new UncheckedIOException("cannot write event files into " + folder, e);
  }

  @Override
  public String toString() {
    return folder.toString();
  }
}
