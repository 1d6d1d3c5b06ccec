package org.unifiedrl.mtf.study;

import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Locale;
import org.unifiedrl.mtf.experiment.ExperimentConfig;

/**
 * One run of one method: what is done once, kept in a file, and compared with other cells of the
 * same world and seed.
 *
 * @param world name of the environment's settings
 * @param data name of the log's settings; {@link #NO_DATA} for methods without a log
 * @param method name of the method
 * @param seed key of every draw; methods of one seed meet the same users with the same luck
 * @param making how the policy is made
 * @param config everything that decides it
 * @param ruler configuration whose held-out log judges the policy offline, the same for all methods
 *     of a world and seed; null for no offline evaluation
 */
public record Cell(
    String world,
    String data,
    String method,
    long seed,
    Making making,
    ExperimentConfig config,
    ExperimentConfig ruler) {

  /** Stands for the data of methods that need none. */
  public static final String NO_DATA = "-";

  static final JsonMapper JSON =
      JsonMapper.builder()
          .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
          .enable(SerializationFeature.ORDER_MAP_ENTRIES_BY_KEYS)
          .build();

  /** Name of the cell's file, without its ending; distinct names may share it. */
  public String fileName() {
    String data = this.data.equals(NO_DATA) ? "" : this.data + "--";
    return slug(world + "--" + data + method + "--" + seed);
  }

  private static String slug(String name) {
    return name.toLowerCase(Locale.ROOT)
        .replaceAll("[^a-z0-9.=-]+", "-")
        .replaceAll("^[.-]+|-+$", "");
  }

  /** Whether it only helps to choose settings; what is reported is judged offline too. */
  boolean isTrial() {
    return ruler == null;
  }

  /** Everything that decides the outcome: not the number of threads. */
  ObjectNode settings() {
    ObjectNode node = JSON.createObjectNode();
    node.put("making", making.name().toLowerCase(Locale.ROOT));
    node.set("config", tree(config));
    if (ruler != null) {
      node.set("ruler", tree(ruler));
    }
    return node;
  }

  /** A short hash of {@link #settings}. */
  public String identity() {
    return hash(settings());
  }

  /** A short hash of the configuration that the cell is judged by offline. */
  public String rulerIdentity() {
    return hash(tree(ruler));
  }

  /** A configuration without what does not change results. */
  static ObjectNode tree(ExperimentConfig config) {
    ObjectNode node = JSON.valueToTree(config);
    node.remove("threads");
    return node;
  }

  static String hash(ObjectNode node) {
    try {
      byte[] text = node.toString().getBytes(StandardCharsets.UTF_8);
      byte[] digest = MessageDigest.getInstance("SHA-256").digest(text);
      return HexFormat.of().formatHex(digest, 0, 8);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every JVM has SHA-256", e);
    }
  }
}
