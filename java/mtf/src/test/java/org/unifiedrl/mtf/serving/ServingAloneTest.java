package org.unifiedrl.mtf.serving;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.unifiedrl.mtf.algorithm.ServedPolicy;

/** Without what docs/serving.md says may be excluded, and without options for the JVM. */
class ServingAloneTest {

  private static final String EXCLUDED =
      ".*/(javacpp|dnnl|agrona|arrow-format|flatbuffers-java|fastcsv)[^/]*\\.jar";

  /** Ranks and prints the page. */
  static final class Service {
    private Service() {}

    public static void main(String[] arguments) {
      FusionPolicy.Request request = FusionPolicy.open(Path.of(arguments[0])).request();
      int shown =
          request
              .begin(1)
              .features(new float[] {0.1f, 0.2f, 0.3f})
              .explore(7)
              .rank(new float[] {0.1f, 0.2f, 0.9f, 0.3f, 0.4f, 0.1f}, 3, 3);
      System.out.print(Arrays.toString(Arrays.copyOf(request.page(), shown)));
    }
  }

  @Test
  void ranks(@TempDir Path folder) throws Exception {
    Path file = folder.resolve(PolicyModel.FILE);
    PolicyModel model = Models.small(ServedPolicy.BEST_OF_DECODED, 1).model();
    model.write(file);
    String everything = System.getProperty("java.class.path");
    assertThat(everything).contains("javacpp", "dnnl", "agrona", "arrow-format", "fastcsv");
    String classPath =
        Arrays.stream(everything.split(File.pathSeparator))
            .filter(entry -> !entry.matches(EXCLUDED))
            .collect(Collectors.joining(File.pathSeparator));
    Path output = folder.resolve("out");
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xshare:auto",
                "-cp",
                classPath,
                Service.class.getName(),
                file.toString())
            .redirectErrorStream(true)
            .redirectOutput(output.toFile())
            .start();
    assertThat(process.waitFor()).as(Files.readString(output)).isZero();
    FusionPolicy.Request same = FusionPolicy.of(model).request();
    int shown =
        same.begin(1)
            .features(new float[] {0.1f, 0.2f, 0.3f})
            .explore(7)
            .rank(new float[] {0.1f, 0.2f, 0.9f, 0.3f, 0.4f, 0.1f}, 3, 3);
    assertThat(Files.readString(output, StandardCharsets.UTF_8))
        .isEqualTo(Arrays.toString(Arrays.copyOf(same.page(), shown)));
  }
}
