package org.unifiedrl.mtf.session;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.unifiedrl.mtf.fusion.ActionMap;
import org.unifiedrl.mtf.policy.PairPolicy;
import org.unifiedrl.mtf.policy.Policy;

/**
 * An environment whose policies act on every candidate of a request: a state is {@code [n, S + k]},
 * for each candidate the user's state and then the candidate's predicted scores, and an action
 * {@code [n, A]}. Users, draws, rewards and totals are those of the environment within, so that
 * policies of both kinds meet the same luck.
 *
 * <p>Immutable.
 */
public final class PairwiseEnvironment implements Environment {

  private final Environment world;
  private final int candidates;
  private final List<String> stateNames;

  /** Decorates an environment whose rollouts predict before they serve. */
  public PairwiseEnvironment(Environment world) {
    this.world = world;
    candidates = world.rollout(0, world.trainUsers().slice(0, 1), 1, 1).candidates();
    List<String> names = new ArrayList<>();
    for (int c = 0; c < candidates; c++) {
      String candidate = "candidate_" + c + ".";
      world.stateNames().forEach(name -> names.add(candidate + name));
      world.scoreNames().forEach(name -> names.add(candidate + name));
    }
    stateNames = Collections.unmodifiableList(names);
  }

  /** Most candidates that a request can have, n. */
  public int candidates() {
    return candidates;
  }

  /** Features of one pair, S + k. */
  public int pairStateSize() {
    return world.stateSize() + world.scoreNames().size();
  }

  /** Action dimensions of one pair, A. */
  public int pairActionSize() {
    return world.actionSize();
  }

  /**
   * What a policy does here: one of pairs acts on each candidate, one of requests gives all
   * candidates the same action.
   *
   * @throws IllegalArgumentException if its sizes are neither those of pairs nor of requests
   */
  public Policy serving(Policy policy) {
    boolean pairs = policy instanceof PairPolicy;
    int expected = pairs ? pairStateSize() : world.stateSize();
    if (policy.stateSize() != expected || policy.actionSize() != pairActionSize()) {
      throw new IllegalArgumentException(
          "policy has S=%d A=%d, a %s of environment %s has S=%d A=%d"
              .formatted(
                  policy.stateSize(),
                  policy.actionSize(),
                  pairs ? "pair" : "request",
                  name(),
                  expected,
                  pairActionSize()));
    }
    return pairs ? new OnEach(policy) : new Repeated(policy);
  }

  @Override
  public String name() {
    return world.name();
  }

  @Override
  public List<String> stateNames() {
    return stateNames;
  }

  /** That of each candidate. */
  @Override
  public ActionMap actionMap() {
    return world.actionMap();
  }

  @Override
  public int actionSize() {
    return candidates * pairActionSize();
  }

  @Override
  public List<String> rewardGroups() {
    return world.rewardGroups();
  }

  @Override
  public List<String> scoreNames() {
    return world.scoreNames();
  }

  @Override
  public List<String> responseNames() {
    return world.responseNames();
  }

  @Override
  public double reward(float[] responses, int at) {
    return world.reward(responses, at);
  }

  @Override
  public int pageSize() {
    return world.pageSize();
  }

  @Override
  public UserRange trainUsers() {
    return world.trainUsers();
  }

  @Override
  public UserRange judgeUsers() {
    return world.judgeUsers();
  }

  @Override
  public boolean hasDays() {
    return world.hasDays();
  }

  @Override
  public List<String> limits() {
    return world.limits();
  }

  @Override
  public Rollout rollout(long seed, UserRange users, int days, int lanes) {
    return new PairRollout(world.rollout(seed, users, days, lanes));
  }

  private final class OnEach implements Policy {

    private final Policy actor;

    OnEach(Policy actor) {
      this.actor = actor;
    }

    @Override
    public int stateSize() {
      return PairwiseEnvironment.this.stateSize();
    }

    @Override
    public int actionSize() {
      return PairwiseEnvironment.this.actionSize();
    }

    @Override
    public void act(float[] states, int rows, float[] actions) {
      actor.act(states, rows * candidates, actions);
    }
  }

  private final class Repeated implements Policy {

    private final Policy policy;
    private final int pairState = pairStateSize();
    private final int size = pairActionSize();
    private float[] users = {};
    private float[] chosen = {};

    Repeated(Policy policy) {
      this.policy = policy;
    }

    @Override
    public int stateSize() {
      return PairwiseEnvironment.this.stateSize();
    }

    @Override
    public int actionSize() {
      return PairwiseEnvironment.this.actionSize();
    }

    @Override
    public void act(float[] states, int rows, float[] actions) {
      int own = policy.stateSize();
      if (users.length < rows * own) {
        users = new float[rows * own];
        chosen = new float[rows * size];
      }
      for (int row = 0; row < rows; row++) {
        System.arraycopy(states, row * candidates * pairState, users, row * own, own);
      }
      policy.act(users, rows, chosen);
      for (int pair = 0; pair < rows * candidates; pair++) {
        System.arraycopy(chosen, pair / candidates * size, actions, pair * size, size);
      }
    }
  }

  /** The rollout within, which predicts as soon as a request waits. */
  private final class PairRollout implements Rollout {

    private final Rollout within;
    private final int own = world.stateSize();
    private final int scores = world.scoreNames().size();
    private final float[] states;

    PairRollout(Rollout within) {
      this.within = within;
      states = new float[within.active() * candidates * (own + scores)];
      describe();
    }

    private void describe() {
      within.predict();
      float[] users = within.states();
      float[] predicted = within.candidateScores();
      int to = 0;
      for (int lane = 0; lane < within.active(); lane++) {
        for (int c = 0; c < candidates; c++) {
          System.arraycopy(users, lane * own, states, to, own);
          to += own;
          for (int i = 0; i < scores; i++) {
            states[to++] = predicted[(lane * scores + i) * candidates + c];
          }
        }
      }
    }

    @Override
    public int active() {
      return within.active();
    }

    @Override
    public float[] states() {
      return states;
    }

    @Override
    public int[] users() {
      return within.users();
    }

    @Override
    public long[] sessions() {
      return within.sessions();
    }

    @Override
    public long[] times() {
      return within.times();
    }

    @Override
    public void predict() {
      within.predict();
    }

    @Override
    public void serve(float[] actions) {
      within.serveEach(actions);
    }

    @Override
    public void serveEach(float[] actions) {
      within.serveEach(actions);
    }

    @Override
    public float[] rewards() {
      return within.rewards();
    }

    @Override
    public boolean[] last() {
      return within.last();
    }

    @Override
    public float[] pageScores() {
      return within.pageScores();
    }

    @Override
    public float[] pageResponses() {
      return within.pageResponses();
    }

    @Override
    public int[] pageItems() {
      return within.pageItems();
    }

    @Override
    public int candidates() {
      return candidates;
    }

    @Override
    public float[] candidateScores() {
      return within.candidateScores();
    }

    @Override
    public int[] pageCandidates() {
      return within.pageCandidates();
    }

    @Override
    public void advance() {
      within.advance();
      describe();
    }

    @Override
    public UserTotals totals() {
      return within.totals();
    }
  }
}
