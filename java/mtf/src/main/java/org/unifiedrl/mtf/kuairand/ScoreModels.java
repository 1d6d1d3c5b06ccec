package org.unifiedrl.mtf.kuairand;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.unifiedrl.mtf.evaluation.MtfGauc;

/**
 * Score models for a folder without a score file: a logistic regression per binary behaviour and a
 * linear regression of ln(1 + seconds watched), fitted by Newton steps on the first part of the
 * days and applied to the rest.
 *
 * <p>Features are the duration's bucket and the running mean of the behaviour for the user, the
 * video and the video's first tag, each shrunk towards the mean of all earlier exposures. Running
 * means use earlier exposures of the fitting days only, so that no label predicts itself and
 * nothing of the served days enters a score.
 */
final class ScoreModels {

  /** Share of the days that the models are fitted on: 6 of 14, as the score file at hand has it. */
  private static final double FIT_SHARE = 3.0 / 7;

  private static final int[] DURATION_EDGES_MS = {7_000, 15_000, 30_000, 60_000, 120_000, 300_000};
  private static final int MEANS = 3; // user, video, tag
  private static final int FEATURES = 1 + DURATION_EDGES_MS.length + MEANS + 2;
  private static final double USER_PRIOR = 10; // exposures that the overall mean is worth
  private static final double VIDEO_PRIOR = 20;
  private static final double TAG_PRIOR = 50;
  private static final double RIDGE = 1;
  private static final int NEWTON_STEPS = 12;

  private final ExposureLog log;
  private final int[] userOfRow;
  private final int[] videoOfRow;
  private final int[] tagOfRow;
  private final int videos;
  private final int tags;
  private final int firstServedDate;

  private ScoreModels(ExposureLog log, Optional<Path> videoFeatures) {
    this.log = log;
    userOfRow = new int[log.rows];
    for (int user = 0; user < log.users(); user++) {
      Arrays.fill(userOfRow, log.userStart[user], log.userStart[user + 1], user);
    }
    long[] videoIds = Arrays.stream(log.video).sorted().distinct().toArray();
    videos = videoIds.length;
    videoOfRow = new int[log.rows];
    Map<Long, Integer> tagOfVideo = new HashMap<>();
    Map<String, Integer> tagNumbers = new HashMap<>();
    tagNumbers.put("", 0);
    videoFeatures.ifPresent(file -> readTags(file, tagOfVideo, tagNumbers));
    tags = tagNumbers.size();
    tagOfRow = new int[log.rows];
    for (int row = 0; row < log.rows; row++) {
      videoOfRow[row] = Arrays.binarySearch(videoIds, log.video[row]);
      tagOfRow[row] = tagOfVideo.getOrDefault(log.video[row], 0);
    }
    int[] dates = Arrays.stream(log.date).sorted().distinct().toArray();
    if (dates.length < 2) {
      throw new KuaiRandException(
          "the folder has no score file, and its logs cover one day only: scores cannot be fitted"
              + " on earlier days; add an mtl_scores_*.csv or logs of more days");
    }
    firstServedDate = dates[Math.max(1, (int) Math.round(FIT_SHARE * dates.length))];
  }

  private static void readTags(
      Path file, Map<Long, Integer> tagOfVideo, Map<String, Integer> tagNumbers) {
    try (CsvTable table = new CsvTable(file)) {
      int videoColumn = table.column("video_id");
      int tagColumn = table.column("tag");
      while (table.next()) {
        String tag = table.text(tagColumn);
        int comma = tag.indexOf(',');
        String first = comma < 0 ? tag : tag.substring(0, comma);
        int number = tagNumbers.computeIfAbsent(first, key -> tagNumbers.size());
        tagOfVideo.put(table.integer(videoColumn), number);
      }
    }
  }

  /** Fits all models on the earlier days and scores the later ones. */
  static ExposureScores fit(ExposureLog log, Optional<Path> videoFeatures) {
    ScoreModels models = new ScoreModels(log, videoFeatures);
    float[] values = new float[log.rows * ExposureScores.COUNT];
    boolean[] present = new boolean[log.rows];
    for (int row = 0; row < log.rows; row++) {
      present[row] = log.date[row] >= models.firstServedDate;
    }
    Map<String, Double> auc = new LinkedHashMap<>();
    for (int score = 0; score < ExposureScores.COUNT; score++) {
      boolean binary = score != ExposureScores.WATCH;
      double[] labels = models.labels(score);
      double[] predictions = models.predict(labels, binary);
      MtfGauc ranking = new MtfGauc();
      for (int row = 0; row < log.rows; row++) {
        if (present[row]) {
          values[row * ExposureScores.COUNT + score] =
              binary ? (float) predictions[row] : ExposureScores.watchSeconds(predictions[row]);
          if (binary) {
            ranking.add(0, predictions[row], labels[row] > 0, 1); // one group: the plain AUC
          }
        }
      }
      if (binary) {
        auc.put(
            ExposureScores.NAMES.get(score), ranking.result(MtfGauc.UserWeight.SAMPLES).value());
      }
    }
    return new ExposureScores(values, present, models.firstServedDate, auc);
  }

  private double[] labels(int score) {
    double[] labels = new double[log.rows];
    for (int row = 0; row < log.rows; row++) {
      labels[row] =
          switch (score) {
            case ExposureScores.VALID -> log.valid(row) ? 1 : 0;
            case ExposureScores.WATCH -> Math.log1p(log.playMs[row] / 1e3);
            case ExposureScores.FINISH -> log.finished(row) ? 1 : 0;
            case ExposureScores.LIKE -> log.has(row, ExposureLog.LIKE) ? 1 : 0;
            case ExposureScores.INTERACTION -> log.has(row, ExposureLog.INTERACTION) ? 1 : 0;
            default -> throw new AssertionError(score);
          };
    }
    return labels;
  }

  /** Predictions for all rows; those of the fitting days are from their own past. */
  private double[] predict(double[] labels, boolean binary) {
    double[] features = features(labels, binary);
    double[] weights = newton(features, labels, binary);
    double[] predictions = new double[log.rows];
    for (int row = 0; row < log.rows; row++) {
      double linear = dot(weights, features, row * FEATURES);
      predictions[row] = binary ? sigmoid(linear) : linear;
    }
    return predictions;
  }

  private double[] features(double[] labels, boolean binary) {
    double[] features = new double[log.rows * FEATURES];
    double[] userSum = new double[log.users()];
    double[] videoSum = new double[videos];
    double[] tagSum = new double[tags];
    int[] userCount = new int[log.users()];
    int[] videoCount = new int[videos];
    int[] tagCount = new int[tags];
    // One virtual exposure keeps the overall mean inside (0, 1) from the first row on.
    double sum = binary ? 0.1 : 2;
    double count = 1;
    for (int row : log.chronological) {
      int user = userOfRow[row];
      int video = videoOfRow[row];
      int tag = tagOfRow[row];
      double mean = sum / count;
      int at = row * FEATURES;
      features[at++] = 1;
      for (int edge : DURATION_EDGES_MS) {
        features[at++] = log.durationMs[row] > edge ? 1 : 0;
      }
      features[at++] = shrunk(userSum[user], userCount[user], USER_PRIOR, mean, binary);
      features[at++] = shrunk(videoSum[video], videoCount[video], VIDEO_PRIOR, mean, binary);
      features[at++] = shrunk(tagSum[tag], tagCount[tag], TAG_PRIOR, mean, binary);
      features[at++] = Math.log1p(userCount[user]);
      features[at] = Math.log1p(videoCount[video]);
      if (log.date[row] < firstServedDate) {
        userSum[user] += labels[row];
        videoSum[video] += labels[row];
        tagSum[tag] += labels[row];
        userCount[user]++;
        videoCount[video]++;
        tagCount[tag]++;
        sum += labels[row];
        count++;
      }
    }
    return features;
  }

  /** Difference of a shrunk mean from the overall mean, on the scale of the linear predictor. */
  private static double shrunk(double sum, int count, double prior, double mean, boolean binary) {
    double value = (sum + prior * mean) / (count + prior);
    return binary ? logit(value) - logit(mean) : value - mean;
  }

  /** Ridge-penalised maximum likelihood on the fitting days; exact in one step if linear. */
  private double[] newton(double[] features, double[] labels, boolean binary) {
    double[] weights = new double[FEATURES];
    for (int step = 0; step < (binary ? NEWTON_STEPS : 1); step++) {
      double[][] hessian = new double[FEATURES][FEATURES];
      double[] gradient = new double[FEATURES];
      for (int k = 0; k < FEATURES; k++) {
        hessian[k][k] = RIDGE;
        gradient[k] = -RIDGE * weights[k];
      }
      for (int row = 0; row < log.rows; row++) {
        if (log.date[row] >= firstServedDate) {
          continue;
        }
        int at = row * FEATURES;
        double linear = dot(weights, features, at);
        double mean = binary ? sigmoid(linear) : linear;
        double curvature = binary ? mean * (1 - mean) : 1;
        double residual = labels[row] - mean;
        for (int i = 0; i < FEATURES; i++) {
          double scaled = curvature * features[at + i];
          gradient[i] += residual * features[at + i];
          for (int j = 0; j <= i; j++) {
            hessian[i][j] += scaled * features[at + j];
          }
        }
      }
      double[] change = solve(hessian, gradient);
      for (int k = 0; k < FEATURES; k++) {
        weights[k] += change[k];
      }
    }
    return weights;
  }

  /** Solves {@code A x = b} by Cholesky; A positive definite, lower triangle given, overwritten. */
  private static double[] solve(double[][] a, double[] b) {
    int n = b.length;
    double[] x = b.clone();
    for (int i = 0; i < n; i++) {
      for (int j = 0; j <= i; j++) {
        double value = a[i][j];
        for (int k = 0; k < j; k++) {
          value -= a[i][k] * a[j][k];
        }
        a[i][j] = i == j ? Math.sqrt(value) : value / a[j][j];
      }
    }
    for (int i = 0; i < n; i++) {
      for (int k = 0; k < i; k++) {
        x[i] -= a[i][k] * x[k];
      }
      x[i] /= a[i][i];
    }
    for (int i = n - 1; i >= 0; i--) {
      for (int k = i + 1; k < n; k++) {
        x[i] -= a[k][i] * x[k];
      }
      x[i] /= a[i][i];
    }
    return x;
  }

  private static double dot(double[] weights, double[] features, int at) {
    double sum = 0;
    for (int k = 0; k < FEATURES; k++) {
      sum += weights[k] * features[at + k];
    }
    return sum;
  }

  private static double sigmoid(double x) {
    return 1 / (1 + Math.exp(-x));
  }

  private static double logit(double p) {
    return Math.log(p / (1 - p));
  }
}
