package org.unifiedrl.mtf.session;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.unifiedrl.engine.replay.Replay;
import org.unifiedrl.mtf.fusion.ActionMap;

/**
 * What is known of the requests of an imported log: the names of what it holds, and the fusion
 * formula's ranges. Its users are gone, so nobody can be served: it is for training, and for what
 * judges a policy by the log alone.
 */
public final class LoggedRequests implements Environment {

  private static final String NAME = "log";
  private static final String STATE_NAMES = "state_names";
  private static final String REWARD_GROUPS = "reward_groups";
  private static final String SCORE_NAMES = "score_names";
  private static final String POWER_LOW = "power_low";
  private static final String POWER_HIGH = "power_high";
  private static final String BIAS_LOW = "bias_low";
  private static final String BIAS_HIGH = "bias_high";
  private static final ObjectMapper JSON = new ObjectMapper();

  private final List<String> stateNames;
  private final List<String> rewardGroups;
  private final List<String> scoreNames;
  private final ActionMap actionMap;

  private LoggedRequests(Path folder, Map<String, String> metadata) {
    stateNames = names(folder, metadata, STATE_NAMES);
    rewardGroups = names(folder, metadata, REWARD_GROUPS);
    scoreNames = names(folder, metadata, SCORE_NAMES);
    actionMap =
        new ActionMap(
            numbers(folder, metadata, POWER_LOW),
            numbers(folder, metadata, POWER_HIGH),
            numbers(folder, metadata, BIAS_LOW),
            numbers(folder, metadata, BIAS_HIGH));
  }

  /**
   * What shards say of themselves, so that they can be opened as an environment.
   *
   * @param stateNames of the S state values
   * @param rewardGroups of the q rewards
   * @param scoreNames of the k predicted scores
   * @param map from normalised actions to powers and biases
   * @return metadata of a replay, to which more may be added
   */
  public static Map<String, String> metadata(
      List<String> stateNames, List<String> rewardGroups, List<String> scoreNames, ActionMap map) {
    int k = map.scores();
    double[][] bounds = new double[4][k];
    for (int i = 0; i < k; i++) {
      bounds[0][i] = map.power(i, -1);
      bounds[1][i] = map.power(i, 1);
      bounds[2][i] = map.bias(i, -1);
      bounds[3][i] = map.bias(i, 1);
    }
    Map<String, String> metadata = new TreeMap<>();
    metadata.put("environment", NAME);
    metadata.put(STATE_NAMES, json(stateNames));
    metadata.put(REWARD_GROUPS, json(rewardGroups));
    metadata.put(SCORE_NAMES, json(scoreNames));
    metadata.put(POWER_LOW, json(bounds[0]));
    metadata.put(POWER_HIGH, json(bounds[1]));
    metadata.put(BIAS_LOW, json(bounds[2]));
    metadata.put(BIAS_HIGH, json(bounds[3]));
    return metadata;
  }

  /**
   * Opens an imported log.
   *
   * @param folder run folder of an import
   * @throws IllegalArgumentException if it is none
   */
  public static LoggedRequests open(Path folder) {
    Path shards = folder.resolve("shards/train");
    if (!Files.isDirectory(shards)) {
      throw new IllegalArgumentException(
          "environment log: there is no folder "
              + shards.toAbsolutePath().normalize()
              + "; give the folder that import was told by --out");
    }
    // What the rows hold is looked at by those who read them.
    try (Replay replay = Replay.open(shards, new Replay.Options(false, false, 1))) {
      return new LoggedRequests(folder, replay.schema().metadata());
    }
  }

  /** A value of the metadata, as JSON. */
  public static String json(Object value) {
    try {
      return JSON.writeValueAsString(value);
    } catch (JacksonException e) {
      throw new IllegalStateException(e);
    }
  }

  private static List<String> names(Path folder, Map<String, String> metadata, String key) {
    return read(folder, metadata, key, new TypeReference<>() {});
  }

  private static double[] numbers(Path folder, Map<String, String> metadata, String key) {
    return read(folder, metadata, key, new TypeReference<>() {});
  }

  private static <T> T read(
      Path folder, Map<String, String> metadata, String key, TypeReference<T> type) {
    try {
      T value = JSON.readValue(metadata.getOrDefault(key, ""), type);
      if (value != null) {
        return value;
      }
    } catch (JacksonException e) {
      // Reported below, as what is missing.
    }
    throw new IllegalArgumentException(
        "environment log: the shards of "
            + folder
            + " have no readable metadata '"
            + key
            + "': they were not made by import");
  }

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public List<String> stateNames() {
    return stateNames;
  }

  @Override
  public ActionMap actionMap() {
    return actionMap;
  }

  @Override
  public List<String> rewardGroups() {
    return rewardGroups;
  }

  @Override
  public List<String> scoreNames() {
    return scoreNames;
  }

  /** None: what was shown is not known. */
  @Override
  public List<String> responseNames() {
    return List.of();
  }

  @Override
  public boolean hasUsers() {
    return false;
  }

  @Override
  public double reward(float[] responses, int at) {
    throw nobody();
  }

  /** 0: what was shown is not known. */
  @Override
  public int pageSize() {
    return 0;
  }

  @Override
  public UserRange trainUsers() {
    return new UserRange(0, 0);
  }

  @Override
  public UserRange judgeUsers() {
    return new UserRange(0, 0);
  }

  @Override
  public List<String> limits() {
    return List.of(
        "A log shows what its served policy and the exploration around it did: what another policy"
            + " would do is an estimate, and only an A/B test with real users is a measurement.");
  }

  @Override
  public Rollout rollout(long seed, UserRange users, int days, int lanes) {
    throw nobody();
  }

  private static UnsupportedOperationException nobody() {
    return new UnsupportedOperationException(
        "environment log: a log has no users to serve; serve a policy by an A/B test of your own");
  }
}
