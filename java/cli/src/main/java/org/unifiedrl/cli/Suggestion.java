package org.unifiedrl.cli;

import java.util.Collection;
import java.util.Comparator;
import java.util.Locale;
import java.util.Optional;

/** The name that a misspelt one was probably meant to be. */
final class Suggestion {

  private Suggestion() {}

  /**
   * The known name nearest to {@code name} by edit distance, if it is near enough to be meant: at
   * most a third of its letters differ (and one letter may always differ).
   */
  static Optional<String> nearest(String name, Collection<String> known) {
    return known.stream()
        .min(Comparator.comparingInt((String other) -> distance(name, other)).thenComparing(o -> o))
        .filter(other -> distance(name, other) <= Math.max(1, other.length() / 3));
  }

  /**
   * Edits (insert, delete, replace, swap of neighbours) from one name to another; letter case and
   * the difference between '-', '_' and nothing do not count.
   */
  static int distance(String from, String to) {
    String a = canonical(from);
    String b = canonical(to);
    int[][] edits = new int[a.length() + 1][b.length() + 1];
    for (int i = 0; i <= a.length(); i++) {
      for (int j = 0; j <= b.length(); j++) {
        if (i == 0 || j == 0) {
          edits[i][j] = i + j;
          continue;
        }
        int replace = edits[i - 1][j - 1] + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
        edits[i][j] = Math.min(replace, Math.min(edits[i - 1][j], edits[i][j - 1]) + 1);
        if (i > 1
            && j > 1
            && a.charAt(i - 1) == b.charAt(j - 2)
            && a.charAt(i - 2) == b.charAt(j - 1)) {
          edits[i][j] = Math.min(edits[i][j], edits[i - 2][j - 2] + 1);
        }
      }
    }
    return edits[a.length()][b.length()];
  }

  private static String canonical(String name) {
    return name.toLowerCase(Locale.ROOT).replaceAll("[-_]", "");
  }
}
