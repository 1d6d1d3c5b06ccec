package org.unifiedrl.serve;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonLocation;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.core.exc.StreamConstraintsException;
import java.io.CharConversionException;
import java.io.IOException;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.unifiedrl.mtf.serving.PolicyModel;

/**
 * The body of a ranking request, read token by token into arrays that are used again.
 *
 * <p>Not for several threads at once.
 */
final class RankBody {

  private static final int MAX_DEPTH = 4; // the deepest that is sound: candidates.watch[0]
  private static final int MAX_NUMBER = 64;
  private static final int MAX_NAME = 256;
  private static final int MAX_TEXT = 256;
  private static final int MAX_SHOWN = 40;
  private static final String FEATURES = "features";
  private static final String CANDIDATES = "candidates";
  private static final String KEYS = "request_id, user, features, candidates, k and explore";

  private final JsonFactory json;
  private final List<String> stateNames;
  private final List<String> scoreNames;
  private final Map<String, Integer> states = new HashMap<>();
  private final Map<String, Integer> scoreIndices = new HashMap<>();
  private final int maxCandidates;
  private final float[] features;
  private final boolean[] given;
  private float[] scores; // [score][stride]
  private int stride = 256;
  private final int[] counts; // candidates by score; -1 before the score has come
  private long requestId;
  private boolean idIsText;
  private boolean hasId;
  private long user;
  private boolean hasUser;
  private boolean hasFeatures;
  private boolean hasCandidates;
  private int candidates;
  private int size;
  private Boolean explore;

  RankBody(PolicyModel model, int maxBody, int maxCandidates) {
    this.maxCandidates = maxCandidates;
    json =
        JsonFactory.builder()
            .streamReadConstraints(
                StreamReadConstraints.builder()
                    .maxNestingDepth(MAX_DEPTH)
                    .maxNumberLength(MAX_NUMBER)
                    .maxNameLength(MAX_NAME)
                    .maxStringLength(MAX_TEXT)
                    .maxDocumentLength(maxBody)
                    .build())
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .build();
    stateNames = model.stateNames();
    scoreNames = model.scoreNames();
    for (int i = 0; i < stateNames.size(); i++) {
      states.put(stateNames.get(i), i);
    }
    for (int i = 0; i < scoreNames.size(); i++) {
      scoreIndices.put(scoreNames.get(i), i);
    }
    features = new float[stateNames.size()];
    given = new boolean[stateNames.size()];
    counts = new int[scoreNames.size()];
    scores = new float[scoreNames.size() * stride];
  }

  /**
   * Reads a body.
   *
   * @throws Refusal naming the place that is wrong
   */
  void read(byte[] bytes, int length) throws Refusal {
    hasId = false;
    hasUser = false;
    hasFeatures = false;
    hasCandidates = false;
    user = 0;
    size = -1;
    explore = null;
    Arrays.fill(counts, -1);
    Arrays.fill(given, false);
    try (JsonParser parser = json.createParser(bytes, 0, length)) {
      try {
        readObject(parser);
      } catch (StreamConstraintsException e) {
        throw limit(parser, e);
      } catch (JsonProcessingException e) {
        throw malformed(parser, e);
      }
    } catch (CharConversionException e) { // begins like UTF-16 or UTF-32, and is none
      throw new Refusal(
          400,
          "malformed_json",
          "line 1, column 1",
          "the body is not JSON: " + e.getMessage(),
          "send one JSON object, in UTF-8");
    } catch (IOException e) {
      throw new IllegalStateException("bytes in memory are always read", e);
    }
    require(hasId, "request_id", "a whole number of 64 bits, unique among requests");
    require(hasFeatures, FEATURES, stateNames.size() + " numbers, or an object of them by name");
    require(hasCandidates, CANDIDATES, "an object of arrays of scores: " + scoreNames);
    require(size > 0, "k", "the number of candidates to pick");
  }

  private void readObject(JsonParser parser) throws IOException, Refusal {
    if (parser.nextToken() != JsonToken.START_OBJECT) {
      throw wrong("", "the body is " + found(parser) + ": expected a JSON object", KEYS);
    }
    while (parser.nextToken() == JsonToken.FIELD_NAME) {
      String key = parser.currentName();
      parser.nextToken();
      switch (key) {
        case "request_id" -> {
          idIsText = parser.currentToken() == JsonToken.VALUE_STRING;
          requestId = whole(parser, key, Long.MIN_VALUE, Long.MAX_VALUE);
          hasId = true;
        }
        case "user" -> {
          user = whole(parser, key, Long.MIN_VALUE, Long.MAX_VALUE);
          hasUser = true;
        }
        case FEATURES -> readFeatures(parser);
        case CANDIDATES -> readCandidates(parser);
        case "k" -> size = (int) whole(parser, key, 1, maxCandidates);
        case "explore" -> {
          if (!parser.currentToken().isBoolean()) {
            throw wrong(key, key + " is " + found(parser), "send true or false, or leave it out");
          }
          explore = parser.getBooleanValue();
        }
        default -> throw wrong(key, "unknown key '" + shown(key) + "'", "send " + KEYS);
      }
    }
    if (parser.nextToken() != null) {
      throw wrong("", "there is " + found(parser) + " behind the JSON object", "send one object");
    }
  }

  private static void require(boolean there, String key, String expected) throws Refusal {
    if (!there) {
      throw wrong(key, "there is no '" + key + "'", "send " + expected);
    }
  }

  private static Refusal wrong(String place, String message, String remedy) {
    return new Refusal(400, "invalid_request", place, message, remedy);
  }

  /** Where it is wrong; not every exception says so itself. */
  private static String at(JsonParser parser, JsonProcessingException e) {
    JsonLocation at = e.getLocation() == null ? parser.currentLocation() : e.getLocation();
    return "line " + at.getLineNr() + ", column " + at.getColumnNr();
  }

  private static Refusal malformed(JsonParser parser, JsonProcessingException e) {
    return new Refusal(
        400,
        "malformed_json",
        at(parser, e),
        "the body is not JSON: " + shortened(e.getOriginalMessage()),
        "send one JSON object of " + KEYS);
  }

  private static Refusal limit(JsonParser parser, StreamConstraintsException e) {
    return new Refusal(
        400,
        "json_limit",
        at(parser, e),
        shortened(e.getOriginalMessage()),
        "nest no deeper than %d, and send numbers of at most %d and texts of at most %d characters"
            .formatted(MAX_DEPTH, MAX_NUMBER, MAX_TEXT));
  }

  private static String shortened(String message) {
    int end = message.indexOf('\n');
    return end < 0 ? message : message.substring(0, end);
  }

  private static long whole(JsonParser parser, String place, long least, long largest)
      throws IOException, Refusal {
    long value = 0;
    boolean sound = true;
    try {
      switch (parser.currentToken()) {
        case VALUE_NUMBER_INT -> value = parser.getLongValue();
        case VALUE_STRING -> value = Long.parseLong(parser.getText());
        default -> sound = false;
      }
    } catch (NumberFormatException | com.fasterxml.jackson.core.exc.InputCoercionException e) {
      sound = false;
    }
    if (!sound || value < least || value > largest) {
      throw wrong(
          place,
          place + " is " + found(parser),
          "send a whole number of " + least + " to " + largest);
    }
    return value;
  }

  private void readFeatures(JsonParser parser) throws IOException, Refusal {
    hasFeatures = true;
    if (parser.currentToken() == JsonToken.START_ARRAY) {
      int count = 0;
      while (parser.nextToken() != JsonToken.END_ARRAY) {
        if (count == features.length) {
          throw wrong(
              FEATURES,
              "features has more than " + features.length + " numbers",
              "send one for each of the model's state names, in their order");
        }
        features[count] = number(parser, FEATURES, null, count);
        count++;
      }
      if (count < features.length) {
        throw wrong(
            FEATURES + "[" + count + "]",
            "features has " + count + " numbers, and the model " + features.length,
            "send one for each of the model's state names; the next is '"
                + stateNames.get(count)
                + "'");
      }
      return;
    }
    if (parser.currentToken() != JsonToken.START_OBJECT) {
      throw wrong(
          FEATURES,
          FEATURES + " is " + found(parser),
          "send " + features.length + " numbers, or an object of them by name");
    }
    while (parser.nextToken() == JsonToken.FIELD_NAME) {
      String name = parser.currentName();
      Integer index = states.get(name);
      parser.nextToken();
      if (index == null) {
        throw wrong(
            FEATURES + "." + shown(name),
            "the model has no feature '" + shown(name) + "'",
            "leave it out; GET /v1/model lists the model's");
      }
      features[index] = number(parser, FEATURES, name, -1);
      given[index] = true;
    }
    for (int i = 0; i < given.length; i++) {
      if (!given[i]) {
        throw wrong(
            FEATURES + "." + stateNames.get(i),
            "there is no feature '" + stateNames.get(i) + "'",
            "send each of the model's " + given.length + " features");
      }
    }
  }

  private void readCandidates(JsonParser parser) throws IOException, Refusal {
    hasCandidates = true;
    if (parser.currentToken() != JsonToken.START_OBJECT) {
      throw wrong(
          CANDIDATES,
          CANDIDATES + " is " + found(parser),
          "send an object of arrays of scores: " + scoreNames);
    }
    int first = -1;
    while (parser.nextToken() == JsonToken.FIELD_NAME) {
      String name = parser.currentName();
      String place = CANDIDATES + "." + shown(name);
      Integer index = scoreIndices.get(name);
      parser.nextToken();
      if (index == null) {
        throw wrong(
            place,
            "the model has no score '" + shown(name) + "'",
            "send its scores: " + scoreNames);
      }
      if (parser.currentToken() != JsonToken.START_ARRAY) {
        throw wrong(place, place + " is " + found(parser), "send an array of numbers");
      }
      int count = 0;
      while (parser.nextToken() != JsonToken.END_ARRAY) {
        if (count == maxCandidates) {
          throw new Refusal(
              413,
              "too_many_candidates",
              place + "[" + count + "]",
              "there are more than " + maxCandidates + " candidates",
              "send fewer, or start the service with a larger --max-candidates");
        }
        if (count == stride) {
          grow();
        }
        scores[index * stride + count] =
            parser.currentToken() == JsonToken.VALUE_NULL
                ? Float.NaN
                : number(parser, CANDIDATES, name, count);
        count++;
      }
      counts[index] = count;
      if (first < 0) {
        first = index;
      } else if (count != counts[first]) {
        throw wrong(
            place,
            "%s has %d scores, and %s.%s has %d"
                .formatted(place, count, CANDIDATES, scoreNames.get(first), counts[first]),
            "send one score of each kind for each candidate, null where one is missing");
      }
    }
    for (int i = 0; i < counts.length; i++) {
      if (counts[i] < 0) {
        throw wrong(
            CANDIDATES + "." + scoreNames.get(i),
            "there are no scores '" + scoreNames.get(i) + "'",
            "send each of the model's scores: " + scoreNames);
      }
    }
    candidates = counts[0];
    if (candidates == 0) {
      throw wrong(CANDIDATES, "there are no candidates", "send at least one");
    }
  }

  private void grow() {
    int wider = Math.min(2 * stride, maxCandidates);
    float[] larger = new float[counts.length * wider];
    for (int i = 0; i < counts.length; i++) {
      System.arraycopy(scores, i * stride, larger, i * wider, stride);
    }
    scores = larger;
    stride = wider;
  }

  private static float number(JsonParser parser, String of, String name, int index)
      throws IOException, Refusal {
    if (parser.currentToken().isNumeric()) {
      float value = parser.getFloatValue();
      if (Float.isFinite(value)) {
        return value;
      }
    }
    String place = of + (name == null ? "" : "." + name) + (index < 0 ? "" : "[" + index + "]");
    boolean score = of.equals(CANDIDATES);
    throw wrong(
        place,
        place + " is " + found(parser),
        "send a number that float32 can hold" + (score ? ", or null if it is missing" : ""));
  }

  private static String found(JsonParser parser) throws IOException {
    JsonToken token = parser.currentToken();
    if (token == null) {
      return "nothing";
    }
    return switch (token) {
      case START_OBJECT -> "an object";
      case START_ARRAY -> "an array";
      case VALUE_STRING -> "the text '" + shown(parser.getText()) + "'";
      default -> shown(parser.getText());
    };
  }

  private static String shown(String text) {
    return text.length() <= MAX_SHOWN ? text : text.substring(0, MAX_SHOWN) + "...";
  }

  long requestId() {
    return requestId;
  }

  /** Whether the id came as text, as languages without 64-bit numbers send it. */
  boolean idIsText() {
    return idIsText;
  }

  long user() {
    return user;
  }

  boolean hasUser() {
    return hasUser;
  }

  float[] features() {
    return features;
  }

  /** Scores, {@code [score][stride]}. */
  float[] scores() {
    return scores;
  }

  int stride() {
    return stride;
  }

  int candidates() {
    return candidates;
  }

  int size() {
    return size;
  }

  boolean explore(boolean usual) {
    return explore == null ? usual : explore;
  }
}
