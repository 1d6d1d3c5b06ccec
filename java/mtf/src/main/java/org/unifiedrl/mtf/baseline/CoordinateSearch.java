package org.unifiedrl.mtf.baseline;

import java.util.ArrayList;
import java.util.List;

/**
 * Grid search of one dimension after the other: each pass tries equally spaced values of each
 * dimension while the others rest, beside the present vector, which shares their luck. A better
 * value has to win again, with other luck, before it is taken. The first pass spans the box; each
 * further one spans half as much around the present vector, down to a thousandth, and then the box
 * again.
 */
public final class CoordinateSearch implements Searcher {

  private static final double NARROWEST = 1e-3;

  private final SearchBox box;
  private final int levels;
  private final float[] present;
  private double span = 1; // share of the box
  private int dimension;
  private float[][] proposed = {};
  private float[] challenger = {}; // none while a dimension is swept

  /**
   * Starts a search.
   *
   * @param start where it starts, in the box
   * @param levels values of a dimension in a sweep, at least 2
   */
  public CoordinateSearch(SearchBox box, float[] start, int levels) {
    if (levels < 2) {
      throw new IllegalArgumentException(
          "a sweep of " + levels + " levels in each dimension: expected 2 or more");
    }
    this.box = box;
    this.levels = levels;
    present = box.checked(start);
  }

  @Override
  public float[][] propose(double spent) {
    List<float[]> vectors = new ArrayList<>();
    vectors.add(present.clone());
    if (challenger.length > 0) {
      vectors.add(challenger);
    } else {
      sweep(vectors);
    }
    proposed = vectors.toArray(float[][]::new);
    return proposed.clone();
  }

  private void sweep(List<float[]> vectors) {
    double width = span * box.width(dimension);
    double low =
        Math.max(
            box.low(dimension),
            Math.min(box.high(dimension) - width, present[dimension] - width / 2));
    for (int level = 0; level < levels; level++) {
      float[] vector = present.clone();
      vector[dimension] = box.clip(dimension, low + width * level / (levels - 1));
      if (vector[dimension] != present[dimension]) {
        vectors.add(vector);
      }
    }
  }

  @Override
  public void observe(double[] values) {
    int best = 0;
    for (int p = 1; p < values.length; p++) {
      best = values[p] > values[best] ? p : best;
    }
    if (challenger.length > 0) {
      if (values[1] > values[0]) {
        present[dimension] = challenger[dimension];
      }
      challenger = new float[0];
    } else if (best > 0) {
      challenger = proposed[best];
      return;
    }
    dimension++;
    if (dimension == present.length) {
      dimension = 0;
      span = span / 2 < NARROWEST ? 1 : span / 2;
    }
  }

  @Override
  public float[] best() {
    return present.clone();
  }
}
