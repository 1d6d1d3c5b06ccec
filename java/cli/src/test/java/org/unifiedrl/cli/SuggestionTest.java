package org.unifiedrl.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class SuggestionTest {

  @Test
  void distanceCountsEdits() {
    assertThat(Suggestion.distance("kitten", "sitting")).isEqualTo(3);
    assertThat(Suggestion.distance("batch", "bacth")).as("a swap is one edit").isEqualTo(1);
    assertThat(Suggestion.distance("halfWidth", "half_width")).isZero();
  }

  @Test
  void onlyNearNamesAreSuggested() {
    List<String> known = List.of("steps", "batch", "critics_per_group");
    assertThat(Suggestion.nearest("step", known)).contains("steps");
    assertThat(Suggestion.nearest("critics_per_grup", known)).contains("critics_per_group");
    assertThat(Suggestion.nearest("colour", known)).isEmpty();
  }
}
