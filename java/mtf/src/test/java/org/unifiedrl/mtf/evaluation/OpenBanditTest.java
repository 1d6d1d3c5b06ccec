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

  private record Estimates(OffPolicyEstimate ipw, OffPolicyEstimate snipw) {}

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
      long row = 0;
      for (NamedCsvRecord logged : csv) {
        double propensity = Double.parseDouble(logged.getField("propensity_score"));
        double click = Double.parseDouble(logged.getField("click"));
        ipw.add(1.0 / items, propensity, click, row);
        snipw.add(1.0 / items, propensity, click, row);
        row++;
      }
    }
    return new Estimates(ipw.estimate(), snipw.estimate());
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
  }
}
