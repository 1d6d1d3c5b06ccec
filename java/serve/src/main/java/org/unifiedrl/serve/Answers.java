package org.unifiedrl.serve;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.util.List;
import org.unifiedrl.mtf.serving.FusionPolicy;
import org.unifiedrl.mtf.serving.PolicyModel;

/** What the service answers, as JSON. Stateless. */
final class Answers {

  private static final JsonFactory JSON = new JsonFactory();

  /** Writes the fields of an object. */
  private interface Fields {
    void write(JsonGenerator json) throws IOException;
  }

  private Answers() {}

  private static byte[] object(Fields fields) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    write(bytes, fields);
    return bytes.toByteArray();
  }

  private static void write(OutputStream to, Fields fields) {
    try (JsonGenerator json = JSON.createGenerator(to)) {
      json.writeStartObject();
      fields.write(json);
      json.writeEndObject();
      json.writeRaw('\n');
    } catch (IOException e) {
      throw new UncheckedIOException("memory is always written", e);
    }
  }

  static byte[] status(String status) {
    return object(json -> json.writeStringField("status", status));
  }

  static byte[] error(Refusal refusal) {
    return object(
        json -> {
          json.writeObjectFieldStart("error");
          json.writeStringField("code", refusal.code());
          if (!refusal.place().isEmpty()) {
            json.writeStringField("place", refusal.place());
          }
          json.writeStringField("message", refusal.getMessage());
          json.writeStringField("remedy", refusal.remedy());
          json.writeEndObject();
        });
  }

  static byte[] model(PolicyModel model) {
    return object(
        json -> {
          json.writeStringField("version", model.version());
          json.writeStringField("kind", model.kind().toString());
          names(json, "state_names", model.stateNames());
          names(json, "score_names", model.scoreNames());
          json.writeBooleanField("box", model.box().isPresent());
          json.writeObjectFieldStart("metadata");
          for (var entry : model.metadata().entrySet()) {
            json.writeStringField(entry.getKey(), entry.getValue());
          }
          json.writeEndObject();
        });
  }

  static byte[] reloaded(boolean another, PolicyModel model) {
    return object(
        json -> {
          json.writeBooleanField("reloaded", another);
          json.writeStringField("model", model.version());
        });
  }

  /**
   * Writes a page.
   *
   * @param shown number of candidates picked
   * @param logged whether the request is in the log; null if there is none
   */
  static void page(
      OutputStream to, RankBody body, FusionPolicy.Request request, int shown, Boolean logged) {
    write(
        to,
        json -> {
          if (body.idIsText()) {
            json.writeStringField("request_id", Long.toString(body.requestId()));
          } else {
            json.writeNumberField("request_id", body.requestId());
          }
          json.writeStringField("model", request.model().version());
          json.writeArrayFieldStart("page");
          for (int i = 0; i < shown; i++) {
            json.writeNumber(request.page()[i]);
          }
          json.writeEndArray();
          json.writeArrayFieldStart("scores");
          for (int i = 0; i < shown; i++) {
            json.writeNumber(request.score(i));
          }
          json.writeEndArray();
          if (request.model().kind() != PolicyModel.Kind.PAIR_ACTOR) {
            byScore(json, "powers", request.model().scoreNames(), request.powers());
            byScore(json, "biases", request.model().scoreNames(), request.biases());
          }
          json.writeBooleanField("explored", request.explored());
          if (request.explored()) {
            json.writeNumberField("log_density", request.logDensity());
            if (logged != null) {
              json.writeBooleanField("logged", logged);
            }
          }
        });
  }

  private static void names(JsonGenerator json, String key, List<String> names) throws IOException {
    json.writeArrayFieldStart(key);
    for (String name : names) {
      json.writeString(name);
    }
    json.writeEndArray();
  }

  private static void byScore(JsonGenerator json, String key, List<String> names, float[] values)
      throws IOException {
    json.writeObjectFieldStart(key);
    for (int i = 0; i < values.length; i++) {
      json.writeNumberField(names.get(i), values[i]);
    }
    json.writeEndObject();
  }
}
