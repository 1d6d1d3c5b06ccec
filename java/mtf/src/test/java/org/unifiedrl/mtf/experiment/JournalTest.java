package org.unifiedrl.mtf.experiment;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class JournalTest {

  @TempDir Path run;

  /** Numbers of every kind that results have. */
  record Numbers(double third, double unknown, long large, List<Double> list) {}

  private static final Numbers NUMBERS =
      new Numbers(1 / 3.0, Double.NaN, Long.MAX_VALUE - 1, List.of(0.1, -1e-300));

  private Supplier<Numbers> writing(String text) {
    return () -> {
      try {
        Files.createDirectories(run.resolve("out/.tmp"));
        Files.writeString(run.resolve("out/file"), text);
        Files.writeString(run.resolve("out/.tmp/leftover"), text);
        return NUMBERS;
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    };
  }

  @SuppressWarnings(
      "UnnecessaryLambda") // as a method reference its type would only be in the result
  private static <T> Supplier<T> never() {
    return () -> {
      throw new AssertionError("this stage was done");
    };
  }

  @Test
  void aCompletedStageIsNotRunAgainAndGivesTheSameNumbers() {
    float[] floats = {0.1f, -1 / 3f, Float.MIN_VALUE};
    try (Journal journal = Journal.open(run)) {
      assertThat(journal.stage("a", float[].class, List.of(), () -> floats)).isEqualTo(floats);
      assertThat(journal.stage("b", Numbers.class, List.of(run.resolve("out")), writing("x")))
          .isEqualTo(NUMBERS);
      assertThatThrownBy(
              () ->
                  journal.stage(
                      "c",
                      Numbers.class,
                      List.of(),
                      () -> {
                        throw new IllegalStateException("killed");
                      }))
          .hasMessage("killed");
    }
    AtomicInteger runs = new AtomicInteger();
    for (int again = 0; again < 2; again++) {
      try (Journal journal = Journal.open(run)) {
        assertThat(journal.<float[]>stage("a", float[].class, List.of(), never()))
            .isEqualTo(floats);
        assertThat(journal.<Numbers>stage("b", Numbers.class, List.of(run.resolve("out")), never()))
            .isEqualTo(NUMBERS);
        assertThat(journal.stage("c", Integer.class, List.of(), runs::incrementAndGet))
            .isEqualTo(1);
      }
    }
  }

  @Test
  void outputsThatWereChangedOrLostAreRefusedByName() throws IOException {
    Path out = run.resolve("out");
    try (Journal journal = Journal.open(run)) {
      journal.stage("train", Numbers.class, List.of(out), writing("x"));
    }
    Files.delete(out.resolve(".tmp/leftover")); // no output
    Files.writeString(out.resolve("file"), "y");
    try (Journal journal = Journal.open(run)) {
      assertThatThrownBy(() -> journal.stage("train", Numbers.class, List.of(out), never()))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("out/file")
          .hasMessageContaining("stage 'train', is not what that stage left")
          .hasMessageContaining("begin a new run");
    }
    Files.delete(out.resolve("file"));
    try (Journal journal = Journal.open(run)) {
      assertThatThrownBy(() -> journal.stage("train", Numbers.class, List.of(out), never()))
          .hasMessageContaining("out/file")
          .hasMessageContaining("cannot be read");
    }
    Files.writeString(out.resolve("file"), "x");
    try (Journal journal = Journal.open(run)) {
      assertThat(journal.<Numbers>stage("train", Numbers.class, List.of(out), never()))
          .isEqualTo(NUMBERS);
    }
  }

  @Test
  void anotherRunsJournalIsRefused() throws IOException {
    try (Journal journal = Journal.open(run)) {
      journal.stage("explore", Integer.class, List.of(), () -> 1);
    }
    try (Journal journal = Journal.open(run)) {
      assertThatThrownBy(() -> journal.stage("train", Integer.class, List.of(), () -> 1))
          .hasMessageContaining("has stage 'explore' where 'train' is expected");
    }
    Files.writeString(run.resolve("journal.json"), "{}");
    assertThatThrownBy(() -> Journal.open(run)).hasMessageContaining("is not a list of stages");
    Files.writeString(run.resolve("journal.json"), "[{");
    assertThatThrownBy(() -> Journal.open(run)).hasMessageContaining("cannot read the journal");
  }

  @Test
  void oneProcessAtATime() {
    try (Journal journal = Journal.open(run)) {
      assertThatThrownBy(() -> Journal.open(run))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("another process works on");
      assertThat(journal.stage("a", Integer.class, List.of(), () -> 1)).isEqualTo(1);
      // By another name too: the attempt before did not give the lock away.
      assertThatThrownBy(() -> Journal.open(run.resolve("../" + run.getFileName())))
          .hasMessageContaining("another process works on");
    }
    Journal.open(run).close();
  }
}
