package org.unifiedrl.mtf.session;

import org.unifiedrl.engine.Philox;
import org.unifiedrl.mtf.fusion.FastMath;
import org.unifiedrl.mtf.fusion.Fusion;

/**
 * Sessions of simulated users. Beyond {@link Rollout} it shows what a production log holds (the
 * candidates' scores and the places of the page among them) and, for oracles only, hidden state.
 */
public final class SimulatorRollout extends LaneRollout<SimulatorRollout.Lane> {

  /** Hidden buckets, see {@link #bucket}. */
  public static final int BUCKETS = 4;

  private static final int MAXIMUM_REQUESTS = 60;
  private static final long DAY_MILLIS = 86_400_000L;

  /** 9 May 2022 00:00 UTC, the day after the calibration data ends. */
  private static final long FIRST_MILLIS = 1_652_054_400_000L;

  /** A page counts at most so many times the user's norm: one lucky event does not make a day. */
  private static final float BEST_EXPERIENCE = 8;

  private static final float LONG_SECONDS = 60;
  private static final float SKIP_SECONDS = 3;
  private static final float HISTORY_ITEMS = 100;
  private static final float RECENT = 0.08f; // per item
  private static final float WATCH_SCALE = 1 / Simulator.WATCH_UNIT;

  // Uses of random numbers, part of the counter.
  private static final int USE_PROFILE = 1;
  private static final int USE_SESSION = 2;
  private static final int USE_CANDIDATES = 3;
  private static final int USE_NOISE = 4;
  private static final int USE_USER_ITEM = 5;
  private static final int USE_RESPONSE = 6;
  private static final int USE_LEAVE = 7;
  private static final int USE_RETURN = 8;

  private final Simulator world;
  private final SimulatorConfig config;
  private final Fusion fusion;
  private final long seed;
  private final int days;
  private final float[] rewardWeights;
  private final int[] groupOf; // of each behaviour

  // Scratch of one request.
  private final int[] items;
  private final float[] knownLogits; // (n, BINARY), user and topic included
  private final float[] fused;
  private final int[] noise; // random words of the scores' noise, two a candidate
  private final float[] thresholds; // probabilities of passing the first and both
  private final int[] page;
  private final int[] words = new int[4];
  private final float[] truth = new float[Simulator.SCORES];

  /** When the page was asked for: responses to a page do not depend on its order. */
  private final float[] satiationBefore = new float[3];

  private float passFirst;
  private float passSecond;

  SimulatorRollout(
      Simulator world, long seed, Environment.UserRange range, int days, int laneCount) {
    super(world, range, lanes(range, days, laneCount), world.config.candidates());
    this.world = world;
    this.config = world.config;
    this.fusion = new Fusion(world.actionMap());
    this.seed = seed;
    this.days = days;
    rewardWeights =
        new float[] {
          (float) config.validReward(),
          (float) config.watchReward(),
          (float) config.finishReward(),
          (float) config.likeReward(),
          (float) config.positiveReward()
        };
    groupOf = Simulator.GROUP_OF[config.rewardGroups() - 1];
    items = new int[candidates];
    knownLogits = new float[candidates * Simulator.BINARY];
    fused = new float[candidates];
    noise = new int[2 * candidates + 2];
    thresholds = new float[2 * candidates];
    page = new int[pageSize];
    start();
  }

  private static Lane[] lanes(Environment.UserRange range, int days, int laneCount) {
    if (days < 1 || days > 10_000 || laneCount < 1) {
      throw new IllegalArgumentException(
          "days " + days + ", lanes " + laneCount + "; expected 1 .. 10000 and at least 1");
    }
    Lane[] lanes = new Lane[Math.min(laneCount, Math.max(range.count(), 1))];
    for (int i = 0; i < lanes.length; i++) {
      lanes[i] = new Lane();
    }
    return lanes;
  }

  /** One user being served. */
  static final class Lane {
    int index;
    int user;
    int day;
    int request;
    int segment;
    final int[] topics = new int[3];
    final float[] offsets = new float[Simulator.BINARY];
    final float[] noise = new float[Simulator.SCORES];
    final float[] bias = new float[Simulator.SCORES];
    final float[] slope = new float[Simulator.SCORES];
    final float[] centre = new float[Simulator.SCORES]; // logit about which slope turns
    final float[] satisfies = new float[Simulator.SCORES]; // value weight over the user's norm
    double hour;
    float hourSine;
    float hourCosine;

    // Hidden session state.
    float intent;
    float satisfaction;
    float endSatisfaction;
    final float[] satiation = new float[3];

    // What the platform sees.
    int lastVisit;
    float historyItems;
    final float[] history = new float[7]; // valid, finish, like, positive, log watch, long, short
    float historyLong;
    float historyShort;
    final float[] session = new float[5]; // valid, finish, like, positive, log watch
    float sessionItems;
    float seconds;
    final float[] shown = new float[5]; // last page: valid, finish, like, log watch, skips
    int skips;
    final float[] recent = new float[8];
    boolean leaves;
  }

  private long high(Lane lane, int use) {
    return ((long) lane.user << 32) | ((long) lane.day << 8) | use;
  }

  private static long low(int request, int slot) {
    return ((long) request << 32) | slot;
  }

  private float normal(int word, int which) {
    return world.normals[(word >>> (which * Simulator.NORMAL_BITS)) & 0xFFF];
  }

  /** Puts a user's tastes into a lane and starts the first session. They belong to the world. */
  @Override
  protected void meet(Lane lane, int index) {
    lane.index = index;
    lane.user = range.first() + index;
    lane.day = 0;
    lane.lastVisit = -1;
    long key = config.worldSeed();
    long counter = high(lane, USE_PROFILE);
    Philox.block(key, counter, 0, words, 0);
    lane.segment = (int) (((words[0] & 0xFFFFFFFFL) * Simulator.SEGMENTS) >>> 32);
    float shared = normal(words[1], 0);
    lane.offsets[0] = (float) Calibration.USER_VALID_SD * shared;
    lane.offsets[1] =
        (float) world.userFinishSd()
            * ((float) Simulator.USER_CORRELATION * shared + 0.866f * normal(words[1], 1));
    int quantile = words[2] >>> 22;
    lane.offsets[2] = (float) Calibration.USER_LIKE_SCALE * world.likeLogits[quantile];
    // Users who like more also follow, comment and forward more: rank correlation one half.
    float likeRank = world.normals[(quantile << 2) + 2];
    lane.offsets[3] =
        (float) world.userPositiveSd() * (0.5f * likeRank + 0.866f * normal(words[3], 0));
    Philox.block(key, counter, 1, words, 0);
    int topic = words[0] >>> 27;
    for (int t = 0; t < 3; t++) {
      lane.topics[t] = topic;
      topic = (topic + 1 + ((words[0] >>> (9 * t)) & 0xFF) % 15) % Simulator.TOPICS;
    }
    lane.hour = 24 * Philox.uniformFloat(words[1]);
    lane.hourSine = (float) Math.sin(lane.hour * Math.PI / 12);
    lane.hourCosine = (float) Math.cos(lane.hour * Math.PI / 12);

    float value = (float) config.value();
    float reliability = (float) config.reliability();
    float norm = 0;
    float first = (float) world.centre[0] + lane.offsets[0];
    float second = (float) world.centre[1] + lane.offsets[1];
    // Nearly all videos last longer than 10 s, so the first threshold is valid consumption.
    float valid = FastMath.sigmoid(first);
    float finish = valid * FastMath.sigmoid(second);
    float like = FastMath.sigmoid((float) world.centre[2] + lane.offsets[2]);
    float positive = FastMath.sigmoid((float) world.centre[3] + lane.offsets[3]);
    lane.centre[Simulator.VALID] = first;
    lane.centre[Simulator.FINISH] = FastMath.log(finish / (1 - finish));
    lane.centre[Simulator.LIKE] = (float) world.centre[2] + lane.offsets[2];
    lane.centre[Simulator.POSITIVE] = (float) world.centre[3] + lane.offsets[3];
    float seconds =
        (float) Calibration.STARTED * (1 - valid) * world.usualSeconds[0]
            + (valid - finish) * world.usualSeconds[1]
            + finish * world.usualSeconds[2];
    for (int i = 0; i < Simulator.SCORES; i++) {
      double spread =
          Simulator.SEGMENT_VALUE[lane.segment][i]
              + Simulator.INDIVIDUAL_VALUE_SD * Philox.normal(key, counter, 2 + i);
      lane.satisfies[i] = rewardWeights[i] * (float) Math.exp(value * spread);
      // The norm is what an item that nobody chose gives this user on average.
      float usual =
          i == Simulator.VALID
              ? valid
              : i == Simulator.WATCH
                  ? seconds
                  : i == Simulator.FINISH ? finish : i == Simulator.LIKE ? like : positive;
      norm += lane.satisfies[i] * usual;
      lane.noise[i] = reliability * (float) Simulator.SEGMENT_NOISE[lane.segment][i];
      lane.bias[i] = reliability * (float) Simulator.SEGMENT_BIAS[lane.segment][i];
      lane.slope[i] =
          (float) Math.max(1 + reliability * Simulator.SEGMENT_SLOPE[lane.segment][i], 0.05);
    }
    for (int i = 0; i < Simulator.SCORES; i++) {
      lane.satisfies[i] /= norm;
    }

    // What the platform learned before the first day: sample rates of a hundred exposures.
    lane.historyItems = HISTORY_ITEMS;
    lane.historyLong = HISTORY_ITEMS / 2;
    lane.historyShort = HISTORY_ITEMS / 2;
    lane.history[0] = sampled(valid, Philox.normal(key, counter, 10));
    lane.history[1] = sampled(finish, Philox.normal(key, counter, 11));
    lane.history[2] = sampled(like, Philox.normal(key, counter, 12));
    lane.history[3] = sampled(positive, Philox.normal(key, counter, 13));
    lane.history[4] =
        HISTORY_ITEMS * (1 + 2 * valid + 0.1f * (float) Philox.normal(key, counter, 14));
    lane.history[5] = sampled(valid, Philox.normal(key, counter, 15)) / 2;
    lane.history[6] = sampled(valid, Philox.normal(key, counter, 16)) / 2;
    open(lane);
  }

  private static float sampled(float rate, double normal) {
    double deviation = normal * Math.sqrt(rate * (1 - rate) / HISTORY_ITEMS);
    return HISTORY_ITEMS * (float) Math.max(0, Math.min(1, rate + deviation));
  }

  private void open(Lane lane) {
    lane.request = 0;
    lane.leaves = false;
    Philox.block(seed, high(lane, USE_SESSION), 0, words, 0);
    lane.intent = words[0] < 0 ? -1 : 1;
    lane.satisfaction = 1;
    java.util.Arrays.fill(lane.satiation, 0);
    java.util.Arrays.fill(lane.session, 0);
    java.util.Arrays.fill(lane.shown, 0);
    java.util.Arrays.fill(lane.recent, 0);
    lane.recent[0] = 0.4f;
    lane.recent[1] = 0.4f;
    lane.recent[5] = 0.5f;
    lane.recent[6] = 0.6f;
    lane.sessionItems = 0;
    lane.seconds = 0;
    lane.skips = 0;
    totals.sessions()[lane.index]++;
  }

  /** Finds the next day on which the user comes back; false when the days are over. */
  private boolean comeBack(Lane lane) {
    lane.lastVisit = lane.day;
    float memory = lane.endSatisfaction - 1;
    for (lane.day++; lane.day < days; lane.day++) {
      float returns =
          FastMath.sigmoid(
              (float) (config.returnIntercept() + config.returnSatisfaction() * memory));
      if (Philox.uniform(seed, high(lane, USE_RETURN), 0) < returns) {
        open(lane);
        return true;
      }
      memory *= 0.7f; // a good or bad session fades
    }
    return false;
  }

  private float fatigue(Lane lane) {
    return 1 - FastMath.exp(-lane.seconds / (float) config.fatigueSeconds());
  }

  /** Draws the candidates, all distinct: strided walks in the favourite topics, then others. */
  private void retrieve(Lane lane) {
    System.arraycopy(lane.satiation, 0, satiationBefore, 0, satiationBefore.length);
    long counter = high(lane, USE_CANDIDATES);
    int favourites = candidates * 3 / 5;
    Philox.block(seed, counter, low(lane.request, 0), words, 0);
    int c = 0;
    for (int t = 0; t < 3; t++) {
      int start = words[t] >>> 23;
      int stride = ((words[t] >>> 10) & 0x1FE) | 1;
      for (int j = 0; c < favourites * (t + 1) / 3; j++, c++) {
        int within = (start + j * stride) & (Simulator.TOPIC_ITEMS - 1);
        items[c] = lane.topics[t] * Simulator.TOPIC_ITEMS + within;
      }
    }
    int topic = words[3] >>> 27;
    int step = ((words[3] >>> 8) & 0x1E) | 1;
    int lap = 0;
    for (int drawn = 0; c < candidates; drawn++) {
      if ((drawn & 3) == 0) {
        Philox.block(seed, counter, low(lane.request, 1 + (drawn >> 2)), words, 0);
      }
      if (drawn > 0 && drawn % Simulator.TOPICS == 0) {
        lap++; // a second lap uses the other half of each topic, so items stay distinct
      }
      int within = (words[drawn & 3] >>> 24) | ((lap & 1) << 8);
      if (topic != lane.topics[0] && topic != lane.topics[1] && topic != lane.topics[2]) {
        items[c++] = topic * Simulator.TOPIC_ITEMS + within;
      }
      topic = (topic + step) & (Simulator.TOPICS - 1);
    }
  }

  /** Predicted scores of all candidates, task by task, at {@code base}. */
  private void score(Lane lane, int base) {
    int favourites = candidates * 3 / 5;
    float[] known = world.known;
    boolean noisy = config.reliability() > 0;
    if (noisy) {
      // Blocks of their own loop, so that the processor works on several at once.
      long counter = high(lane, USE_NOISE);
      for (int c = 0; c < candidates; c += 2) {
        Philox.block(seed, counter, low(lane.request, c >> 1), noise, 2 * c);
      }
    }
    // Three short loops instead of a long one: what one candidate waits for, others fill.
    for (int c = 0; c < candidates; c++) {
      int at = items[c] * Simulator.BINARY;
      float affinity = c < favourites ? Simulator.FAVOURITE_GAIN : Simulator.OTHER_LOSS;
      int slot = c * Simulator.BINARY;
      float first = known[at] + lane.offsets[0] + affinity;
      float second = known[at + 1] + lane.offsets[1];
      knownLogits[slot] = first;
      knownLogits[slot + 1] = second;
      knownLogits[slot + 2] = known[at + 2] + lane.offsets[2] + affinity;
      knownLogits[slot + 3] = known[at + 3] + lane.offsets[3];
      float passes = world.logistic(first);
      thresholds[2 * c] = passes;
      thresholds[2 * c + 1] = passes * world.logistic(second);
    }
    int watchAt = base + candidates;
    int finishAt = base + 2 * candidates;
    int likeAt = base + 3 * candidates;
    int positiveAt = base + 4 * candidates;
    for (int c = 0; c < candidates; c++) {
      int slot = c * Simulator.BINARY;
      float passFirst = thresholds[2 * c];
      float passSecond = thresholds[2 * c + 1];
      boolean lengthy = world.duration[items[c]] >= 10;
      float valid = lengthy ? passFirst : passSecond;
      float finish = lengthy ? passSecond : passFirst;
      float like = knownLogits[slot + 2];
      float positive = knownLogits[slot + 3];
      float seconds = world.expectedSeconds(items[c], passFirst, passSecond);
      if (noisy) {
        int low = noise[2 * c];
        int high = noise[2 * c + 1];
        // 64 bits hold five 12-bit normals: two in each word, and one of the words' top bits.
        int fifth = (((low >>> 24) & 0x3F) << 6) | ((high >>> 24) & 0x3F);
        float first = knownLogits[slot];
        float both = FastMath.log(passSecond / (1 - passSecond)); // a logit
        valid = distort(lane, Simulator.VALID, lengthy ? first : both, normal(low, 0));
        finish = distort(lane, Simulator.FINISH, lengthy ? both : first, normal(low, 1));
        like = distort(lane, Simulator.LIKE, like, normal(high, 0));
        positive = distort(lane, Simulator.POSITIVE, positive, normal(high, 1));
        seconds *= FastMath.exp(lane.bias[1] + lane.noise[1] * world.normals[fifth]);
      }
      float watch = seconds * WATCH_SCALE;
      candidateScores[base + c] = valid;
      candidateScores[watchAt + c] = watch < 1 ? watch : 1;
      candidateScores[finishAt + c] = finish;
      candidateScores[likeAt + c] = like;
      candidateScores[positiveAt + c] = positive;
    }
    if (noisy) { // these are logits so far; the other two always are
      probabilities(base, watchAt);
      probabilities(finishAt, likeAt);
    }
    probabilities(likeAt, positiveAt + candidates);
  }

  private void probabilities(int from, int to) {
    for (int i = from; i < to; i++) {
      candidateScores[i] = world.logistic(candidateScores[i]);
    }
  }

  private static float distort(Lane lane, int score, float logit, float normal) {
    float centre = lane.centre[score];
    return centre
        + lane.bias[score]
        + lane.slope[score] * (logit - centre)
        + lane.noise[score] * normal;
  }

  /**
   * True probabilities (and expected seconds) of candidate {@code c}, into {@link #truth}, and of
   * the two thresholds.
   */
  private void reveal(Lane lane, int c, float fatigue) {
    int item = items[c];
    // What a user and an item are to each other lasts, so it is the world's, whatever the day.
    Philox.block(
        config.worldSeed(), ((long) lane.user << 32) | USE_USER_ITEM, low(0, item), words, 0);
    int slot = c * Simulator.BINARY;
    float hidden = (float) config.hidden();
    float span = world.length[item];
    float satiation = 0;
    int topic = item / Simulator.TOPIC_ITEMS;
    for (int t = 0; t < 3; t++) {
      if (lane.topics[t] == topic) {
        satiation = satiationBefore[t];
      }
    }
    float drift = 0.9f * lane.intent * span - fatigue * (0.3f + 0.8f * span) - 0.04f * satiation;
    float first = truthLogit(0, item, slot, normal(words[0], 0)) + hidden * drift;
    float second = truthLogit(1, item, slot, normal(words[0], 1)) + hidden * 0.6f * drift;
    float like = truthLogit(2, item, slot, normal(words[1], 0)) + hidden * 0.5f * drift;
    float positive = truthLogit(3, item, slot, normal(words[1], 1)) + hidden * 0.3f * drift;
    passFirst = world.logistic(first);
    passSecond = passFirst * world.logistic(second);
    boolean lengthy = world.duration[item] >= 10;
    truth[Simulator.VALID] = lengthy ? passFirst : passSecond;
    truth[Simulator.FINISH] = lengthy ? passSecond : passFirst;
    truth[Simulator.LIKE] = world.logistic(like);
    truth[Simulator.POSITIVE] = world.logistic(positive);
    truth[Simulator.WATCH] = world.expectedSeconds(item, passFirst, passSecond);
  }

  private float truthLogit(int b, int item, int slot, float normal) {
    return world.truthLogit(b, knownLogits[slot + b])
        + world.unknown[item * Simulator.BINARY + b]
        + world.userItemSd(b) * normal;
  }

  private static float dot(float[] a, float[] b) {
    float sum = 0;
    for (int i = 0; i < a.length; i++) {
      sum += a[i] * b[i];
    }
    return sum;
  }

  @Override
  protected void predict(Lane lane, int place) {
    retrieve(lane);
    score(lane, place * Simulator.SCORES * candidates);
  }

  @Override
  protected void serve(Lane lane, int place, float[] actions, boolean each) {
    predict(lane, place);
    fuse(fusion, place, candidates, actions, each, fused);
    respond(lane, place, place * Simulator.SCORES * candidates);
  }

  /**
   * Serves like {@link #serve}, but ranks each candidate by its true expectations: for oracles, as
   * no predictor knows them and no action expresses them.
   *
   * @param weights of valid consumption, watch second, finish, like and positive interaction
   * @param longTerm weight of the user's own satisfaction, which is 1 for a usual item
   */
  public void serveByTrueValue(float[] weights, float longTerm) {
    for (int i = 0; i < active(); i++) {
      Lane lane = lanes[i];
      int base = i * Simulator.SCORES * candidates;
      java.util.Arrays.fill(pageCandidates, i * pageSize, (i + 1) * pageSize, -1);
      predict(lane, i);
      float fatigue = fatigue(lane);
      for (int c = 0; c < candidates; c++) {
        reveal(lane, c, fatigue);
        fused[c] = dot(truth, weights) + longTerm * dot(truth, lane.satisfies);
      }
      respond(lane, i, base);
    }
  }

  /** Shows the page of highest fused scores and draws responses, leaving and statistics. */
  private void respond(Lane lane, int i, int base) {
    int chosen = Fusion.top(fused, candidates, pageSize, page);
    pageItems[i] = chosen;
    float fatigue = fatigue(lane);
    float watched = 0;
    float enjoyed = 0;
    java.util.Arrays.fill(rewards, i * groups, (i + 1) * groups, 0);
    java.util.Arrays.fill(lane.shown, 0);
    for (int p = 0; p < chosen; p++) {
      int c = page[p];
      int item = items[c];
      pageCandidates[i * pageSize + p] = c;
      reveal(lane, c, fatigue);
      Philox.block(seed, high(lane, USE_RESPONSE), low(lane.request, c), words, 0);
      boolean lengthy = world.duration[item] >= 10;
      float started = (float) Calibration.STARTED * (1 - passFirst);
      float u = Philox.uniformFloat(words[0]);
      int part = u < passSecond ? 2 : u < passFirst ? 1 : u < passFirst + started ? 0 : -1;
      float play = part < 0 ? 0 : world.play(item, part, Philox.openFloat(words[1]));
      boolean valid = part == 2 || (part == 1 && lengthy);
      boolean finish = part == 2 || (part == 1 && !lengthy);
      float usual =
          started * world.meanLike[item * 3]
              + (passFirst - passSecond) * world.meanLike[item * 3 + 1]
              + passSecond * world.meanLike[item * 3 + 2];
      float factor = Calibration.likeFactor(play) / usual;
      boolean like = Philox.uniformFloat(words[2]) < truth[Simulator.LIKE] * factor;
      boolean positive = Philox.uniformFloat(words[3]) < truth[Simulator.POSITIVE] * factor;

      int out = (i * pageSize + p) * Simulator.SCORES;
      for (int k = 0; k < Simulator.SCORES; k++) {
        pageScores[out + k] = candidateScores[base + k * candidates + c];
      }
      pageResponses[out] = valid ? 1 : 0;
      pageResponses[out + 1] = play;
      pageResponses[out + 2] = finish ? 1 : 0;
      pageResponses[out + 3] = like ? 1 : 0;
      pageResponses[out + 4] = positive ? 1 : 0;
      watched += play;
      for (int k = 0; k < Simulator.SCORES; k++) {
        enjoyed += lane.satisfies[k] * pageResponses[out + k];
      }
      float consumed =
          pageResponses[out] * rewardWeights[0] + pageResponses[out + 2] * rewardWeights[2];
      float liked = pageResponses[out + 3] * rewardWeights[3];
      float rare = pageResponses[out + 4] * rewardWeights[4];
      if (groupOf[0] == groupOf[3]) {
        rewards[i * groups + groupOf[0]] += consumed + liked + rare;
      } else {
        rewards[i * groups + groupOf[0]] += consumed;
        rewards[i * groups + groupOf[3]] += liked + rare;
      }
      observe(lane, item, out, play);
    }
    rewards[i * groups + groupOf[1]] += rewardWeights[1] * watched;
    for (int s = 0; s < lane.shown.length; s++) {
      lane.shown[s] /= Math.max(chosen, 1);
    }
    lane.seconds += watched;
    float experience = Math.min(enjoyed / Math.max(chosen, 1), BEST_EXPERIENCE);
    lane.satisfaction += (float) config.satisfactionRate() * (experience - lane.satisfaction);
    float hazard =
        FastMath.sigmoid(
            (float)
                (config.leaveIntercept()
                    + config.leaveFatigue() * fatigue(lane)
                    - config.leaveSatisfaction() * lane.satisfaction
                    + config.leaveSkips() * Math.min(lane.skips, 10)));
    lane.leaves =
        lane.request + 1 >= MAXIMUM_REQUESTS
            || Philox.uniform(seed, high(lane, USE_LEAVE), low(lane.request, 0)) < hazard;
    lane.endSatisfaction = lane.satisfaction;
    last[i] = lane.leaves;

    int index = lane.index;
    totals.watchSeconds()[index] += (double) watched / days;
    totals.requests()[index]++;
    float reward = 0;
    for (int g = 0; g < groups; g++) {
      reward += rewards[i * groups + g];
    }
    totals.returns()[index] += reward;
  }

  /** Adds one response to what the platform knows of the user. */
  private void observe(Lane lane, int item, int out, float play) {
    float valid = pageResponses[out];
    float finish = pageResponses[out + 2];
    float like = pageResponses[out + 3];
    float positive = pageResponses[out + 4];
    float logWatch = FastMath.log(1 + play);
    boolean isLong = world.duration[item] > LONG_SECONDS;
    lane.historyItems++;
    lane.history[0] += valid;
    lane.history[1] += finish;
    lane.history[2] += like;
    lane.history[3] += positive;
    lane.history[4] += logWatch;
    lane.session[0] += valid;
    lane.session[1] += finish;
    lane.session[2] += like;
    lane.session[3] += positive;
    lane.session[4] += logWatch;
    lane.sessionItems++;
    lane.shown[0] += valid;
    lane.shown[1] += finish;
    lane.shown[2] += like;
    lane.shown[3] += logWatch;
    float surprise = valid - pageScores[out];
    if (isLong) {
      lane.historyLong++;
      lane.history[5] += valid;
      lane.recent[0] += 2 * RECENT * (valid - lane.recent[0]);
      lane.recent[2] += 2 * RECENT * (surprise - lane.recent[2]);
    } else {
      lane.historyShort++;
      lane.history[6] += valid;
      lane.recent[1] += 2 * RECENT * (valid - lane.recent[1]);
      lane.recent[3] += 2 * RECENT * (surprise - lane.recent[3]);
    }
    lane.recent[4] += RECENT * (finish - pageScores[out + 2] - lane.recent[4]);
    lane.recent[5] += RECENT * ((isLong ? 1 : 0) - lane.recent[5]);
    lane.recent[7] += RECENT * (logWatch - lane.recent[7]);
    int topic = item / Simulator.TOPIC_ITEMS;
    float favourite = 0;
    for (int t = 0; t < 3; t++) {
      lane.satiation[t] *= 0.98f;
      if (lane.topics[t] == topic) {
        lane.satiation[t]++;
        favourite = 1;
      }
    }
    lane.recent[6] += RECENT * (favourite - lane.recent[6]);
    if (play < SKIP_SECONDS) {
      lane.skips++;
      lane.shown[4]++;
    } else {
      lane.skips = 0;
    }
    totals.validConsumptions()[lane.index] += (double) valid / days;
  }

  @Override
  protected boolean next(Lane lane) {
    lane.request++;
    return !lane.leaves || comeBack(lane);
  }

  /** Writes what the platform sees of a waiting request. */
  @Override
  protected void describe(Lane lane, int i) {
    users[i] = lane.user;
    sessions[i] = (long) lane.index * days + lane.day;
    times[i] =
        FIRST_MILLIS
            + lane.day * DAY_MILLIS
            + (long) (lane.hour * 3_600_000)
            + (long) (lane.seconds * 1000)
            + 1000L * lane.request;
    int at = i * stateSize;
    for (int s = 0; s < Simulator.SEGMENTS; s++) {
      states[at++] = s == lane.segment ? 1 : 0;
    }
    float n = 1 / lane.historyItems;
    states[at++] = 4 * (lane.history[0] * n - 0.42f);
    states[at++] = 4 * (lane.history[1] * n - 0.17f);
    states[at++] = 0.4f * (FastMath.log(0.002f + lane.history[2] * n) + 5);
    states[at++] = 0.4f * (FastMath.log(0.002f + lane.history[3] * n) + 5.5f);
    states[at++] = lane.history[4] * n - 2;
    states[at++] = 4 * (lane.history[5] / lane.historyLong - 0.42f);
    states[at++] = 4 * (lane.history[6] / lane.historyShort - 0.42f);
    states[at++] = 0.5f * (FastMath.log(lane.historyItems) - 5);
    states[at++] = lane.lastVisit < 0 ? 0 : 0.2f * (lane.day - lane.lastVisit);
    states[at++] = lane.lastVisit < 0 ? 1 : 0;
    states[at++] = lane.hourSine;
    states[at++] = lane.hourCosine;
    states[at++] = 0.5f * FastMath.log(1 + lane.request);
    states[at++] = 0.1f * Math.min(lane.request, 40);
    states[at++] = 0.5f * FastMath.log(1 + lane.seconds / 60);
    float m = 1 / Math.max(lane.sessionItems, 1);
    boolean fresh = lane.sessionItems == 0;
    states[at++] = fresh ? 0 : 4 * (lane.session[0] * m - 0.42f);
    states[at++] = fresh ? 0 : 4 * (lane.session[1] * m - 0.17f);
    states[at++] = 10 * lane.session[2] * m;
    states[at++] = 20 * lane.session[3] * m;
    states[at++] = fresh ? 0 : lane.session[4] * m - 2;
    states[at++] = fresh ? 0 : 2 * (lane.shown[0] - 0.42f);
    states[at++] = fresh ? 0 : 2 * (lane.shown[1] - 0.17f);
    states[at++] = 4 * lane.shown[2];
    states[at++] = fresh ? 0 : lane.shown[3] - 2;
    states[at++] = fresh ? 0 : 2 * (lane.shown[4] - 0.4f);
    states[at++] = 0.2f * Math.min(lane.skips, 10);
    states[at++] = 4 * (lane.recent[0] - 0.42f);
    states[at++] = 4 * (lane.recent[1] - 0.42f);
    states[at++] = 4 * lane.recent[2];
    states[at++] = 4 * lane.recent[3];
    states[at++] = 4 * lane.recent[4];
    states[at++] = 2 * (lane.recent[5] - 0.5f);
    states[at++] = 2 * (lane.recent[6] - 0.6f);
    states[at] = lane.recent[7] - 1;
  }

  /** After {@link #serve}: candidates of the last lane; for tests. */
  int[] itemsOfLastLane() {
    return items;
  }

  /** Segment of a lane's user; for oracles. */
  public int segment(int lane) {
    return lanes[lane].segment;
  }

  /**
   * Hidden bucket of a lane, 0 .. {@link #BUCKETS} - 1: intent, and whether fatigue has passed one
   * fifth; for oracles.
   */
  public int bucket(int lane) {
    return (lanes[lane].intent > 0 ? 1 : 0) + (fatigue(lanes[lane]) > 0.2f ? 2 : 0);
  }

  /** After {@link #serve}: smoothed satisfaction of a lane's user, 1 is the norm; for tests. */
  float satisfaction(int lane) {
    return lanes[lane].satisfaction;
  }
}
