package org.unifiedrl.mtf.exploration;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.LongFunction;
import org.unifiedrl.engine.Philox;
import org.unifiedrl.mtf.policy.Policy;

/**
 * Exploration of the box of {@link UniformBox} by perturbed policies (specification 9, parameter
 * noise): every session has one, so that like states are explored alike. With probability 1 - p an
 * action is uniform in a smaller box around the perturbed policy's action, which is clipped so that
 * the smaller box, of {@value #SHARE} times the width, stays within the large one; otherwise it is
 * uniform in the large box.
 *
 * <p>What is logged is the density given the perturbation,
 *
 * <pre>
 *   q = (p + (1 - p) SHARE^-A [it is in the smaller box]) / volume of the box,
 * </pre>
 *
 * positive in the whole box, so that its inverse is an exact weight, though the density given the
 * state alone is not known: see {@link GuidedBox}. Weights are at most 1 / p times those of the
 * uniform box.
 */
public final class PerturbedBox extends SequentialExplorer {

  /** Width of the smaller box, in widths of the large one. */
  public static final double SHARE = 0.5;

  /** Keeps these draws apart from others under the same seed. */
  private static final long STREAM = 0x5042L << 40;

  private static final long PICK = STREAM ^ (1L << 60);

  private final Box box;
  private final LongFunction<Policy> perturbed;
  private final double uniform;
  private final Map<Long, Policy> policies = new Recent(); // of this rollout's sessions
  private final float[] action;
  private float[] states = {};
  private float[] state = {};

  /**
   * Creates the explorer.
   *
   * @param lower A lower bounds relative to the baseline, each in [-2, -{@value UniformBox#LEAST}]
   * @param upper A upper bounds, each in [{@value UniformBox#LEAST}, 2]
   * @param perturbed gives the perturbed policy of a number; may be called by several threads
   * @param uniform probability that the whole box is drawn from (p), in (0, 1]
   */
  public PerturbedBox(
      float[] lower, float[] upper, LongFunction<Policy> perturbed, double uniform) {
    this(new Box(lower, upper), perturbed, uniform);
  }

  private PerturbedBox(Box box, LongFunction<Policy> perturbed, double uniform) {
    super(box.size(), 1, true);
    if (!(uniform > 0 && uniform <= 1)) {
      throw new IllegalArgumentException(
          "exploration by perturbed policies draws from the whole box with probability "
              + uniform
              + ": expected one in (0, 1], without which nothing bounds the density");
    }
    this.box = box;
    this.perturbed = perturbed;
    this.uniform = uniform;
    this.action = new float[box.size()];
  }

  @Override
  public Explorer forRollout() {
    return new PerturbedBox(box, perturbed, uniform);
  }

  @Override
  public void see(float[] requestStates) {
    states = requestStates;
  }

  @Override
  double draw(
      long seed,
      int user,
      long request,
      int row,
      boolean first,
      double[] memory,
      int at,
      float[] baseline,
      float[] actions,
      float[] low,
      float[] high) {
    int size = box.size();
    long key = user & 0xFFFFFFFFL;
    if (first) {
      // The number of the session's perturbation; exact in a double.
      memory[at] = Philox.bits(seed, STREAM ^ key, request) >>> 12;
    }
    Policy policy = policies.computeIfAbsent((long) memory[at], perturbed::apply);
    int width = policy.stateSize();
    if (state.length != width) {
      state = new float[width];
    }
    System.arraycopy(states, row * width, state, 0, width);
    policy.act(state, 1, action);
    boolean whole = Philox.uniform(seed, PICK ^ key, request) < uniform;
    boolean inside = true;
    double logVolume = 0;
    for (int k = 0; k < size; k++) {
      int place = row * size + k;
      float mean = IndependentExplorer.checked(baseline[place], row, k);
      float from = box.low(k, mean);
      float to = box.high(k, mean);
      float half = (float) (SHARE / 2) * (to - from);
      float centre = Math.min(Math.max(action[k], from + half), to - half);
      float innerFrom = Math.max(centre - half, from);
      float innerTo = Math.min(centre + half, to);
      long counter = STREAM ^ ((long) (k + 1) << 33) ^ key;
      float share = Philox.uniformFloat((int) Philox.bits(seed, counter, request));
      actions[place] = Box.place(whole ? from : innerFrom, whole ? to : innerTo, share);
      inside &= actions[place] >= innerFrom && actions[place] <= innerTo;
      low[place] = from;
      high[place] = to;
      logVolume += Math.log(to - from);
    }
    return Math.log(uniform + (inside ? (1 - uniform) * Math.pow(SHARE, -size) : 0)) - logVolume;
  }

  /**
   * Policies of the sessions that were served last, as many as there are users at once and again:
   * one that is forgotten too early is made again, the same.
   */
  private final class Recent extends LinkedHashMap<Long, Policy> {
    private static final long serialVersionUID = 1L;
    private static final int LEAST = 64;

    Recent() {
      super(LEAST, 0.75f, true);
    }

    @Override
    protected boolean removeEldestEntry(Map.Entry<Long, Policy> eldest) {
      if (size()
          <= Math.max(LEAST, 2 * states.length / Math.max(1, eldest.getValue().stateSize()))) {
        return false;
      }
      if (eldest.getValue() instanceof AutoCloseable closeable) {
        close(closeable);
      }
      return true;
    }

    private static void close(AutoCloseable policy) {
      try {
        policy.close();
      } catch (Exception e) {
        throw new IllegalStateException("cannot close a perturbed policy", e);
      }
    }
  }
}
