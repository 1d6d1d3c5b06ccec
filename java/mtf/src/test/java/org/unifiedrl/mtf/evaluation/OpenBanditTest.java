package org.unifiedrl.mtf.evaluation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.assertj.core.api.Assumptions.assumeThat;

import de.siegmar.fastcsv.reader.CsvReader;
import de.siegmar.fastcsv.reader.NamedCsvRecord;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.Test;
import org.unifiedrl.mtf.TestData;

/**
 * Values of zr-obp's own estimators on the Open Bandit Dataset's small version (its SOURCE.md):
 * Bernoulli Thompson sampling logs, uniform random target.
 */
class OpenBanditTest {

  private static final PairedBootstrap BOOTSTRAP = new PairedBootstrap(1, 1_000);

  private record Estimates(
      OffPolicyEstimate ipw,
      OffPolicyEstimate snipw,
      OffPolicyEstimate doublyRobust,
      OffPolicyEstimate selfNormalised,
      OffPolicyEstimate fitted) {}

  /** A reward model that knows one number. */
  private static final double CONSTANT = 0.004;

  private static Estimates estimate(String campaign, int items) throws IOException {
    Path file =
        TestData.root()
            .resolve("open-bandit-small/bts")
            .resolve(campaign + "/" + campaign + ".csv.gz");
    assumeThat(file).as("skipped: no %s", file).exists();
    Ipw ipw = new Ipw(BOOTSTRAP);
    Snipw snipw = new Snipw(BOOTSTRAP);
    try (InputStream bytes = new GZIPInputStream(Files.newInputStream(file));
        CsvReader<NamedCsvRecord> csv = CsvReader.builder().ofNamedCsvRecord(bytes)) {
      DoublyRobust dr = DoublyRobust.plain(Double.POSITIVE_INFINITY, BOOTSTRAP);
      DoublyRobust sndr = DoublyRobust.selfNormalised(Double.POSITIVE_INFINITY, BOOTSTRAP);
      float[] actions = new float[10_000 * items];
      float[] uniform = new float[10_000 * items];
      Arrays.fill(uniform, 1f / items);
      double[] values = new double[10_000];
      double[] weights = new double[10_000];
      long[] units = new long[10_000];
      int row = 0;
      for (NamedCsvRecord logged : csv) {
        double propensity = Double.parseDouble(logged.getField("propensity_score"));
        double click = Double.parseDouble(logged.getField("click"));
        ipw.add(1.0 / items, propensity, click, row);
        snipw.add(1.0 / items, propensity, click, row);
        weights[row] = 1.0 / items / propensity;
        dr.add(weights[row], click, CONSTANT, CONSTANT, row);
        sndr.add(weights[row], click, CONSTANT, CONSTANT, row);
        actions[row * items + Integer.parseInt(logged.getField("item_id"))] = 1;
        values[row] = click;
        units[row] = row;
        row++;
      }
      LoggedSteps log = new LoggedSteps(new float[0], 0, actions, items, values, units);
      CrossFit models = CrossFit.ridge(log, Features.bilinear(0, items), 5, 0.01, 1);
      DoublyRobust fitted = DoublyRobust.selfNormalised(Double.POSITIVE_INFINITY, BOOTSTRAP);
      models.judge(uniform, weights, fitted);
      return new Estimates(
          ipw.estimate(), snipw.estimate(), dr.estimate(), sndr.estimate(), fitted.estimate());
    }
  }

  @Test
  void menAgreeWithTheReference() throws IOException {
    Estimates men = estimate("men", 34);
    // Sums of 10,000 terms in another order: a few units of 1e-16 each.
    assertThat(men.ipw.value())
        .isCloseTo(0.0030086263272564836, within(1e-12 * 0.0030086263272564836));
    assertThat(men.snipw.value())
        .isCloseTo(0.0031894231622773923, within(1e-12 * 0.0031894231622773923));
    assertThat(String.format(Locale.ROOT, "%.3f", men.ipw.maxWeight())).isEqualTo("178.253");
    assertThat(String.format(Locale.ROOT, "%.2f", men.ipw.ess())).isEqualTo("655.71");
    assertThat(men.ipw.samples()).isEqualTo(10_000);
    assertThat(men.ipw.refused()).isFalse();
    assertThat(men.snipw.refused()).isFalse();
    // With a constant model c: c + IPW - c mean w, and mean w = IPW / SNIPW; SNDR is SNIPW.
    double meanWeight = 0.0030086263272564836 / 0.0031894231622773923;
    assertThat(men.doublyRobust.value())
        .isCloseTo(CONSTANT + 0.0030086263272564836 - CONSTANT * meanWeight, within(1e-14));
    assertThat(men.selfNormalised.value()).isCloseTo(0.0031894231622773923, within(1e-14));
    assertThat(men.selfNormalised.ess()).isEqualTo(men.ipw.ess());
    assertThat(men.fitted.refused()).isFalse();
    // The truth, 46 clicks in 10,000, has a standard error of 0.00068 itself.
    double halfWidth = (men.fitted.high() - men.fitted.low()) / 2;
    assertThat(men.fitted.value()).isCloseTo(0.0046, within(Math.hypot(halfWidth, 1.96 * 0.00068)));
    // On-policy click rate of the uniform logs of the same week.
    assertThat(men.snipw.low()).isLessThan(0.0046);
    assertThat(men.snipw.high()).isGreaterThan(0.0046);
  }

  @Test
  void womenAgreeWithTheReferenceAndAreRefused() throws IOException {
    Estimates women = estimate("women", 46);
    assertThat(women.ipw.value())
        .isCloseTo(0.00743757754192316, within(1e-12 * 0.00743757754192316));
    assertThat(women.snipw.value())
        .isCloseTo(0.0023730461434477556, within(1e-12 * 0.0023730461434477556));
    assertThat(String.format(Locale.ROOT, "%.2f", women.ipw.maxWeight())).isEqualTo("21739.13");
    assertThat(String.format(Locale.ROOT, "%.3f", women.ipw.ess())).isEqualTo("2.078");
    assertThat(women.ipw.refusal().orElseThrow()).contains("2.078 of 10000 steps");
    assertThat(women.snipw.refused()).isTrue();
    assertThat(women.doublyRobust.refused()).isTrue();
    assertThat(women.fitted.refused()).isTrue();
  }
}
