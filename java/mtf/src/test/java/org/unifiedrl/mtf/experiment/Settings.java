package org.unifiedrl.mtf.experiment;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.MapperFeature;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Configurations of tests: the defaults with some settings over them. */
final class Settings {

  private static final JsonMapper JSON =
      JsonMapper.builder()
          .enable(MapperFeature.ACCEPT_CASE_INSENSITIVE_ENUMS)
          .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
          .build();

  private Settings() {}

  /** Each setting as on the command line, {@code training.steps=40}; texts in quotes. */
  static ExperimentConfig of(List<String> settings) {
    return over(ExperimentConfig.defaults(), settings);
  }

  /** The same over another configuration. */
  static ExperimentConfig over(ExperimentConfig base, List<String> settings) {
    ObjectNode tree = JSON.valueToTree(base);
    for (String setting : settings) {
      String[] parts = setting.split("=", 2);
      String[] path = parts[0].split("\\.", -1);
      set(
          path.length == 1 ? tree : (ObjectNode) tree.get(path[0]),
          path[path.length - 1],
          parts[1]);
    }
    return read(tree);
  }

  static ExperimentConfig of(List<String> settings, String... more) {
    List<String> all = new ArrayList<>(settings);
    all.addAll(List.of(more));
    return of(all);
  }

  /** Sections of settings as JSON, {@code {"training": {"steps": 40}}}. */
  static ExperimentConfig ofJson(String sections) {
    ObjectNode tree = JSON.valueToTree(ExperimentConfig.defaults());
    for (Map.Entry<String, JsonNode> section : json(sections).properties()) {
      ObjectNode present = (ObjectNode) tree.get(section.getKey());
      for (Map.Entry<String, JsonNode> setting : section.getValue().properties()) {
        set(present, setting.getKey(), setting.getValue().toString());
      }
    }
    return read(tree);
  }

  static JsonNode json(String text) {
    try {
      return JSON.readTree(text);
    } catch (JsonProcessingException e) {
      throw new AssertionError(e);
    }
  }

  private static void set(ObjectNode section, String key, String value) {
    assertThat(section.has(key)).as(key).isTrue();
    section.set(key, json(value));
  }

  private static ExperimentConfig read(ObjectNode tree) {
    try {
      return JSON.treeToValue(tree, ExperimentConfig.class);
    } catch (JsonProcessingException e) {
      throw new AssertionError(e);
    }
  }
}
