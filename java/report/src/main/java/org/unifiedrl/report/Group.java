package org.unifiedrl.report;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/**
 * Runs of one configuration, which differ by their seeds only.
 *
 * @param number from 0: its colour
 * @param label short, none like that of another group
 * @param settings what its runs share
 * @param runs at least 1
 */
record Group(int number, String label, Map<String, String> settings, List<Run> runs) {

  /** Groups that can be told apart by colour and dashes. */
  static final int MOST = 8;

  private static final int LONGEST_LABEL = 44;

  /**
   * Sorts runs into groups, in the order in which they were given.
   *
   * @throws ReportException if they are of several environments, or of too many configurations
   */
  static List<Group> of(List<Run> runs) {
    Run first = runs.get(0);
    for (Run run : runs) {
      if (!run.environment().equals(first.environment())) {
        throw new ReportException(
            ("%s is of environment %s, %s of %s: what they learn and earn cannot be compared; report"
                    + " them apart")
                .formatted(first.folder(), first.environment(), run.folder(), run.environment()));
      }
    }
    Map<Map<String, String>, List<Run>> sorted = new LinkedHashMap<>();
    for (Run run : runs) {
      sorted.computeIfAbsent(run.withoutSeed(), key -> new ArrayList<>()).add(run);
    }
    if (sorted.size() > MOST) {
      throw new ReportException(
          "%d different configurations: no reader can tell more than %d apart in one chart; give fewer runs"
              .formatted(sorted.size(), MOST));
    }
    List<Map<String, String>> all = List.copyOf(sorted.keySet());
    Set<String> keys = differing(all);
    List<Group> groups = new ArrayList<>();
    for (Map<String, String> settings : all) {
      String letter = String.valueOf((char) ('A' + groups.size()));
      String label =
          all.size() == 1 ? name(sorted.get(settings)) : letter + ": " + label(settings, keys);
      groups.add(new Group(groups.size(), label, settings, List.copyOf(sorted.get(settings))));
    }
    return groups;
  }

  private static String name(List<Run> runs) {
    return runs.size() == 1 ? runs.get(0).name() : runs.size() + " runs";
  }

  /** Keys whose values are not the same everywhere, in alphabetical order. */
  static Set<String> differing(List<Map<String, String>> all) {
    Set<String> keys = new TreeSet<>();
    all.forEach(settings -> keys.addAll(settings.keySet()));
    keys.removeIf(
        key ->
            all.stream().map(settings -> settings.getOrDefault(key, "")).distinct().count() == 1);
    return keys;
  }

  private static String label(Map<String, String> settings, Set<String> keys) {
    Set<String> parts = new LinkedHashSet<>();
    for (String key : keys) {
      parts.add(
          key.substring(key.lastIndexOf('.') + 1) + " " + settings.getOrDefault(key, "(none)"));
    }
    String whole = String.join(", ", parts);
    return whole.length() <= LONGEST_LABEL ? whole : whole.substring(0, LONGEST_LABEL - 2) + " ..";
  }

  /** Its letter alone, where there are several groups. */
  String brief() {
    return label.startsWith((char) ('A' + number) + ": ") ? label.substring(0, 1) : label;
  }
}
