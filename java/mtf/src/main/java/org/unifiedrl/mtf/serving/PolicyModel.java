package org.unifiedrl.mtf.serving;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Function;
import org.unifiedrl.engine.DurableFiles;
import org.unifiedrl.engine.checkpoint.CheckpointException;
import org.unifiedrl.engine.checkpoint.Safetensors;
import org.unifiedrl.engine.checkpoint.Tensor;
import org.unifiedrl.mtf.algorithm.MlpPolicy;
import org.unifiedrl.mtf.algorithm.ServedPolicy;
import org.unifiedrl.mtf.exploration.Box;
import org.unifiedrl.mtf.fusion.ActionMap;

/**
 * Everything that a ranking service needs of a trained policy, as a value and as one file.
 *
 * <p>The file is in the safetensors format, so that other languages read it: float32 tensors {@code
 * NETWORK.L.weight} [in, out] and {@code NETWORK.L.bias} [out] for L = 0, 1, ..., {@code
 * state.shift} and {@code state.scale}, float64 tensors {@code power.low}, {@code power.high},
 * {@code bias.low} and {@code bias.high} [k], {@code box.lower} and {@code box.upper} [A] if there
 * is a box, {@code range} [A] and {@code latents} [latent, count] of {@link Kind#BEST_OF_DECODED}.
 * Its metadata are {@code format}, {@code format_version}, {@code kind}, {@code state_names} and
 * {@code score_names} (JSON arrays), {@code version}, {@code sha256}, and whatever else was given.
 * The digest covers metadata and tensors: a file that was torn or altered is refused.
 *
 * <p>Hidden layers end in ReLU; actors, decoders and perturbations in tanh; critics in nothing.
 * Inputs are normalised as (x - shift) * scale before the first layer.
 *
 * <p>Immutable; its arrays are not to be changed. Safe for all threads.
 *
 * @param kind how the networks act
 * @param networks by the names of {@link Kind#networks()}
 * @param decoding what {@link Kind#BEST_OF_DECODED} has beside its networks; empty for the others
 * @param shift subtracted from each normalised input: the S state features, of {@link
 *     Kind#PAIR_ACTOR} followed by the candidate's k scores
 * @param scale then multiplies it, positive
 * @param stateNames names of the S state features, in the order of the networks' inputs; distinct
 * @param scoreNames names of the k predicted scores, in fusion order; distinct
 * @param actionMap bounds of the k powers and biases
 * @param box where exploration may go around the served action; empty if the model does not say
 * @param version what the model is called in answers, logs and metrics; not blank
 * @param metadata free text; its keys are none of the file's own
 */
public record PolicyModel(
    Kind kind,
    Map<String, Network> networks,
    Optional<Decoding> decoding,
    float[] shift,
    float[] scale,
    List<String> stateNames,
    List<String> scoreNames,
    ActionMap actionMap,
    Optional<Box> box,
    String version,
    Map<String, String> metadata) {

  /** Name of the file in a folder that holds one model. */
  public static final String FILE = "policy.safetensors";

  private static final String FORMAT = "unifiedrl.policy";
  private static final String FORMAT_VERSION = "1";
  private static final String FORMAT_KEY = "format";
  private static final String FORMAT_VERSION_KEY = "format_version";
  private static final String KIND_KEY = "kind";
  private static final String STATE_NAMES_KEY = "state_names";
  private static final String SCORE_NAMES_KEY = "score_names";
  private static final String VERSION_KEY = "version";
  private static final String DIGEST_KEY = "sha256";
  private static final Set<String> RESERVED =
      Set.of(
          FORMAT_KEY,
          FORMAT_VERSION_KEY,
          KIND_KEY,
          STATE_NAMES_KEY,
          SCORE_NAMES_KEY,
          VERSION_KEY,
          DIGEST_KEY);

  private static final int MAX_NAME = 200;
  private static final ObjectMapper JSON = new ObjectMapper();

  /** How the networks of a model act. */
  public enum Kind {
    /** One action a request: {@code actor} of the S state features. */
    ACTOR,
    /** One action a candidate: {@code actor} of the state and the candidate's k scores. */
    PAIR_ACTOR,
    /**
     * One action a request: of actions that {@code decoder} gives for fixed latents, moved by
     * {@code perturbation} times their range and cut to [-1, 1], the one of the largest value by
     * {@code critic}.
     */
    BEST_OF_DECODED;

    /** Names of its networks. */
    public List<String> networks() {
      return this == BEST_OF_DECODED
          ? List.of("decoder", "perturbation", "critic")
          : List.of("actor");
    }

    /** Its name in files: lower case. */
    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /**
   * A dense layer {@code y = x W + b}.
   *
   * @param inputs at least 1
   * @param outputs at least 1
   * @param weight row-major [inputs, outputs]
   * @param bias [outputs]
   */
  public record Layer(int inputs, int outputs, float[] weight, float[] bias) {}

  /**
   * Dense layers, first to last.
   *
   * @param layers each has as many inputs as the one before it has outputs; at least one
   */
  public record Network(List<Layer> layers) {

    public Network {
      layers = List.copyOf(layers);
    }

    /** A network from the engine's flat layout W_1, b_1, W_2, b_2, ... */
    static Network of(MlpPolicy.Weights weights) {
      int[] sizes = weights.sizes();
      List<Layer> layers = new ArrayList<>();
      int at = 0;
      for (int l = 1; l < sizes.length; l++) {
        int afterWeight = at + sizes[l - 1] * sizes[l];
        int end = afterWeight + sizes[l];
        layers.add(
            new Layer(
                sizes[l - 1],
                sizes[l],
                Arrays.copyOfRange(weights.parameters(), at, afterWeight),
                Arrays.copyOfRange(weights.parameters(), afterWeight, end)));
        at = end;
      }
      return new Network(layers);
    }

    /** Number of inputs. */
    public int inputs() {
      return layers.get(0).inputs();
    }

    /** Number of outputs. */
    public int outputs() {
      return layers.get(layers.size() - 1).outputs();
    }
  }

  /**
   * What decoding needs beside its networks.
   *
   * @param range largest perturbation of each action dimension, A values
   * @param latents row-major [latent, count]: one column for each decoded action
   * @param count number of decoded actions, at least 1
   */
  public record Decoding(float[] range, float[] latents, int count) {

    /** Width of a latent. */
    public int latentSize() {
      return latents.length / count;
    }
  }

  /**
   * Checks and copies.
   *
   * @throws IllegalArgumentException naming the tensor or key that is wrong
   */
  public PolicyModel {
    networks = Collections.unmodifiableMap(new LinkedHashMap<>(networks));
    shift = shift.clone();
    scale = scale.clone();
    stateNames = names(STATE_NAMES_KEY, stateNames);
    scoreNames = names(SCORE_NAMES_KEY, scoreNames);
    metadata = Collections.unmodifiableMap(new TreeMap<>(metadata));
    if (version.isBlank() || version.length() > MAX_NAME) {
      throw new IllegalArgumentException(
          "version is '" + version + "': expected 1 to " + MAX_NAME + " characters");
    }
    metadata
        .keySet()
        .forEach(
            key ->
                require(
                    !RESERVED.contains(key), "metadata key '" + key + "' is the file's own", ""));
    int states = stateNames.size();
    int scores = scoreNames.size();
    int actions = 2 * scores;
    require(
        actionMap.scores() == scores,
        "the action map has " + actionMap.scores() + " scores",
        "as many as score_names, " + scores);
    int normalised = states + (kind == Kind.PAIR_ACTOR ? scores : 0);
    length("state.shift", shift, normalised);
    length("state.scale", scale, normalised);
    finite("state.shift", shift);
    for (int i = 0; i < scale.length; i++) {
      require(
          scale[i] > 0 && Float.isFinite(scale[i]),
          "tensor 'state.scale'[" + i + "] is " + scale[i],
          "a positive number");
    }
    require(
        networks.keySet().equals(Set.copyOf(kind.networks())),
        "the networks are " + networks.keySet(),
        "those of kind " + kind + ": " + kind.networks());
    networks.forEach(PolicyModel::checkNetwork);
    box.ifPresent(
        b ->
            require(
                b.size() == actions,
                "the box has " + b.size() + " dimensions",
                actions + " (a power and a bias for each score)"));
    require(
        decoding.isPresent() == (kind == Kind.BEST_OF_DECODED),
        "a model of kind " + kind + (decoding.isPresent() ? " has" : " has no") + " latents",
        "latents and range of kind " + Kind.BEST_OF_DECODED + " alone");
    if (decoding.isPresent()) {
      checkDecoding(decoding.get(), networks, states, actions);
    } else {
      sizes("actor", networks.get("actor"), normalised, actions);
    }
  }

  private static void checkDecoding(
      Decoding decoding, Map<String, Network> networks, int states, int actions) {
    require(
        decoding.count() > 0 && decoding.latents().length % decoding.count() == 0,
        "tensor 'latents' has "
            + decoding.latents().length
            + " values for "
            + decoding.count()
            + " actions",
        "as many for each, and at least one action");
    length("range", decoding.range(), actions);
    finite("range", decoding.range());
    finite("latents", decoding.latents());
    sizes("decoder", networks.get("decoder"), states + decoding.latentSize(), actions);
    sizes("perturbation", networks.get("perturbation"), states + actions, actions);
    sizes("critic", networks.get("critic"), states + actions, 1);
  }

  private static void checkNetwork(String name, Network network) {
    require(!network.layers().isEmpty(), "network '" + name + "' has no layer", "one or more");
    int inputs = network.inputs();
    for (int l = 0; l < network.layers().size(); l++) {
      Layer layer = network.layers().get(l);
      String prefix = name + "." + l;
      require(
          layer.inputs() == inputs && layer.inputs() > 0 && layer.outputs() > 0,
          "tensor '%s.weight' has shape [%d, %d]"
              .formatted(prefix, layer.inputs(), layer.outputs()),
          "[" + inputs + ", outputs], to follow the layer before it");
      length(prefix + ".weight", layer.weight(), (long) layer.inputs() * layer.outputs());
      length(prefix + ".bias", layer.bias(), layer.outputs());
      finite(prefix + ".weight", layer.weight());
      finite(prefix + ".bias", layer.bias());
      inputs = layer.outputs();
    }
  }

  private static void sizes(String name, Network network, int inputs, int outputs) {
    require(
        network.inputs() == inputs && network.outputs() == outputs,
        "network '%s' has %d inputs and %d outputs"
            .formatted(name, network.inputs(), network.outputs()),
        inputs + " and " + outputs + " for this kind, these state_names and score_names");
  }

  private static List<String> names(String key, List<String> names) {
    require(!names.isEmpty(), key + " is empty", "at least one name");
    Set<String> seen = new HashSet<>();
    for (int i = 0; i < names.size(); i++) {
      String name = names.get(i);
      require(
          !name.isBlank() && name.length() <= MAX_NAME && seen.add(name),
          key + "[" + i + "] is '" + name + "'",
          "distinct names of 1 to " + MAX_NAME + " characters");
    }
    return List.copyOf(names);
  }

  private static void length(String tensor, float[] values, long expected) {
    require(
        values.length == expected,
        "tensor '" + tensor + "' has " + values.length + " values",
        String.valueOf(expected));
  }

  private static void finite(String tensor, float[] values) {
    for (int i = 0; i < values.length; i++) {
      if (!Float.isFinite(values[i])) {
        throw new IllegalArgumentException(
            "tensor '" + tensor + "' holds " + values[i] + " at " + i + ": expected finite values");
      }
    }
  }

  private static void require(boolean holds, String found, String expected) {
    if (!holds) {
      throw new IllegalArgumentException(
          expected.isEmpty() ? found + ": use another" : found + ": expected " + expected);
    }
  }

  /**
   * A model of a trained algorithm's networks.
   *
   * @param policy how they act; the mean of {@link ServedPolicy#SQUASHED_MEAN} is an {@link
   *     Kind#ACTOR}
   * @param networks parameters of a network's first member by its name, as for {@link
   *     ServedPolicy#of}
   */
  public static PolicyModel of(
      ServedPolicy policy,
      Function<String, MlpPolicy.Weights> networks,
      List<String> stateNames,
      List<String> scoreNames,
      ActionMap actionMap,
      Optional<Box> box,
      String version,
      Map<String, String> metadata) {
    Map<String, MlpPolicy.Weights> weights = new LinkedHashMap<>();
    Optional<Decoding> decoding = Optional.empty();
    Kind kind =
        switch (policy) {
          case ACTOR, SQUASHED_MEAN -> Kind.ACTOR;
          case PAIR_ACTOR -> Kind.PAIR_ACTOR;
          case BEST_OF_DECODED -> Kind.BEST_OF_DECODED;
        };
    kind.networks().forEach(name -> weights.put(name, networks.apply(name)));
    if (policy == ServedPolicy.SQUASHED_MEAN) {
      weights.replaceAll((name, head) -> head.mean());
    }
    if (kind == Kind.BEST_OF_DECODED) {
      MlpPolicy.Weights range = networks.apply("range"); // a layer of one input: its biases
      MlpPolicy.Weights latents = networks.apply("latents"); // a layer: its weights
      int width = latents.sizes()[0];
      int count = latents.sizes()[1];
      int actions = range.sizes()[1];
      decoding =
          Optional.of(
              new Decoding(
                  Arrays.copyOfRange(range.parameters(), actions, 2 * actions),
                  Arrays.copyOf(latents.parameters(), width * count),
                  count));
    }
    Map<String, Network> layered = new LinkedHashMap<>();
    weights.forEach((name, each) -> layered.put(name, Network.of(each)));
    MlpPolicy.Weights first = weights.get(kind.networks().get(0));
    return new PolicyModel(
        kind,
        layered,
        decoding,
        first.shift(),
        first.scale(),
        stateNames,
        scoreNames,
        actionMap,
        box,
        version,
        metadata);
  }

  /** Number of state features S. */
  public int stateSize() {
    return stateNames.size();
  }

  /** Number of predicted scores k. */
  public int scores() {
    return scoreNames.size();
  }

  /** Number of action dimensions A = 2 k. */
  public int actionSize() {
    return 2 * scoreNames.size();
  }

  /** The same model under another name. */
  public PolicyModel withVersion(String name) {
    return new PolicyModel(
        kind,
        networks,
        decoding,
        shift,
        scale,
        stateNames,
        scoreNames,
        actionMap,
        box,
        name,
        metadata);
  }

  /** The same model with another box. */
  public PolicyModel withBox(Box other) {
    return new PolicyModel(
        kind,
        networks,
        decoding,
        shift,
        scale,
        stateNames,
        scoreNames,
        actionMap,
        Optional.of(other),
        version,
        metadata);
  }

  /** SHA-256 of what the model's file holds, in hexadecimal: models of one digest act alike. */
  public String sha256() {
    return digest(text(), tensors());
  }

  /**
   * Writes the model's file, whole or not at all; what stood there is replaced.
   *
   * @throws CheckpointException if the file cannot be written
   */
  public void write(Path file) {
    Map<String, Tensor> tensors = tensors();
    Map<String, String> text = text();
    text.put(DIGEST_KEY, digest(text, tensors));
    Path target = file.toAbsolutePath();
    Path temporary = target.resolveSibling("." + target.getFileName() + ".tmp");
    try {
      DurableFiles.createFolders(target.getParent());
      Safetensors.write(temporary, tensors, text);
      DurableFiles.rename(temporary, target);
    } catch (IOException | RuntimeException e) {
      try {
        Files.deleteIfExists(temporary);
      } catch (IOException left) {
        e.addSuppressed(left);
      }
      throw new CheckpointException("cannot write the policy " + file + ": " + e, e);
    }
  }

  private Map<String, String> text() {
    Map<String, String> text = new TreeMap<>(metadata);
    text.put(FORMAT_KEY, FORMAT);
    text.put(FORMAT_VERSION_KEY, FORMAT_VERSION);
    text.put(KIND_KEY, kind.toString());
    text.put(STATE_NAMES_KEY, json(stateNames));
    text.put(SCORE_NAMES_KEY, json(scoreNames));
    text.put(VERSION_KEY, version);
    return text;
  }

  static String json(List<String> names) {
    try {
      return JSON.writeValueAsString(names);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("text is always JSON", e);
    }
  }

  private Map<String, Tensor> tensors() {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    int scores = scores();
    tensors.put("power.low", Tensor.of(actionMap.powerLow(), scores));
    tensors.put("power.high", Tensor.of(actionMap.powerHigh(), scores));
    tensors.put("bias.low", Tensor.of(actionMap.biasLow(), scores));
    tensors.put("bias.high", Tensor.of(actionMap.biasHigh(), scores));
    tensors.put("state.shift", Tensor.of(shift, shift.length));
    tensors.put("state.scale", Tensor.of(scale, scale.length));
    networks.forEach(
        (name, network) -> {
          for (int l = 0; l < network.layers().size(); l++) {
            Layer layer = network.layers().get(l);
            tensors.put(
                name + "." + l + ".weight",
                Tensor.of(layer.weight(), layer.inputs(), layer.outputs()));
            tensors.put(name + "." + l + ".bias", Tensor.of(layer.bias(), layer.outputs()));
          }
        });
    decoding.ifPresent(
        d -> {
          tensors.put("range", Tensor.of(d.range(), d.range().length));
          tensors.put("latents", Tensor.of(d.latents(), d.latentSize(), d.count()));
        });
    box.ifPresent(
        b -> {
          tensors.put("box.lower", Tensor.of(b.lower(), b.size()));
          tensors.put("box.upper", Tensor.of(b.upper(), b.size()));
        });
    return tensors;
  }

  /** Over keys and texts, names, types, shapes and bytes, each with its length, sorted by name. */
  static String digest(Map<String, String> text, Map<String, Tensor> tensors) {
    MessageDigest digest;
    try {
      digest = MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
    new TreeMap<>(text)
        .forEach(
            (key, value) -> {
              if (!key.equals(DIGEST_KEY)) {
                update(digest, key);
                update(digest, value);
              }
            });
    new TreeMap<>(tensors)
        .forEach(
            (name, tensor) -> {
              update(digest, name);
              update(digest, tensor.toString());
              ByteBuffer data = tensor.data();
              length(digest, data.remaining());
              digest.update(data);
            });
    return HexFormat.of().formatHex(digest.digest());
  }

  private static void update(MessageDigest digest, String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    length(digest, bytes.length);
    digest.update(bytes);
  }

  private static void length(MessageDigest digest, long length) {
    digest.update(
        ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN).putLong(length).flip());
  }

  /**
   * Reads a model.
   *
   * @param path the file, or the folder that holds {@value #FILE}
   * @throws CheckpointException naming file and tensor or key, if it cannot be read, is torn or
   *     altered, or makes no sense
   */
  public static PolicyModel read(Path path) {
    Path file = Files.isDirectory(path) ? path.resolve(FILE) : path;
    Safetensors.Contents contents = Safetensors.read(file);
    try {
      return new Reader(contents).model();
    } catch (IllegalArgumentException e) {
      throw new CheckpointException(
          file + " is not a policy that can be served: " + e.getMessage(), e);
    }
  }

  /** Takes a model out of a file's content. */
  private static final class Reader {
    private final Map<String, Tensor> tensors;
    private final Map<String, String> text;
    private final Set<String> read = new HashSet<>();

    Reader(Safetensors.Contents contents) {
      tensors = contents.tensors();
      text = contents.metadata();
    }

    PolicyModel model() {
      require(
          FORMAT.equals(text.get(FORMAT_KEY)),
          "metadata 'format' is " + quoted(text.get(FORMAT_KEY)),
          "'" + FORMAT + "'; give a file that unifiedrl wrote as a policy");
      require(
          FORMAT_VERSION.equals(text.get(FORMAT_VERSION_KEY)),
          "metadata 'format_version' is " + quoted(text.get(FORMAT_VERSION_KEY)),
          "'" + FORMAT_VERSION + "'; use the version of unifiedrl that wrote it");
      String found = digest(text, tensors);
      require(
          found.equals(text.get(DIGEST_KEY)),
          "metadata 'sha256' is "
              + quoted(text.get(DIGEST_KEY))
              + ", but the content's is "
              + found,
          "the same: the file was damaged or altered; export it again");
      Kind kind = kind();
      Map<String, Network> networks = new LinkedHashMap<>();
      kind.networks().forEach(name -> networks.put(name, network(name)));
      Map<String, String> metadata = new TreeMap<>(text);
      metadata.keySet().removeAll(RESERVED);
      float[] shift = floats("state.shift", 1);
      float[] scale = floats("state.scale", 1);
      Optional<Decoding> decoding = Optional.empty();
      if (kind == Kind.BEST_OF_DECODED) {
        Tensor latents = tensor("latents", 2);
        decoding =
            Optional.of(
                new Decoding(
                    floats("range", 1), floats("latents", 2), extent("latents", latents, 1)));
      }
      Optional<Box> box = Optional.empty();
      if (tensors.containsKey("box.lower") || tensors.containsKey("box.upper")) {
        box = Optional.of(new Box(floats("box.lower", 1), floats("box.upper", 1)));
      }
      PolicyModel model =
          new PolicyModel(
              kind,
              networks,
              decoding,
              shift,
              scale,
              nameList(STATE_NAMES_KEY),
              nameList(SCORE_NAMES_KEY),
              new ActionMap(
                  doubles("power.low"),
                  doubles("power.high"),
                  doubles("bias.low"),
                  doubles("bias.high")),
              box,
              entry(VERSION_KEY),
              metadata);
      Set<String> unknown = new HashSet<>(tensors.keySet());
      unknown.removeAll(read);
      require(
          unknown.isEmpty(),
          "it holds tensors " + unknown,
          "none but those of kind " + kind + "; use the version of unifiedrl that wrote it");
      return model;
    }

    private Kind kind() {
      String name = entry(KIND_KEY);
      for (Kind kind : Kind.values()) {
        if (kind.toString().equals(name)) {
          return kind;
        }
      }
      throw new IllegalArgumentException(
          "metadata 'kind' is '" + name + "': expected one of " + Arrays.toString(Kind.values()));
    }

    private String entry(String key) {
      String value = text.get(key);
      require(value != null, "there is no metadata '" + key + "'", "it in every policy");
      return value;
    }

    private List<String> nameList(String key) {
      try {
        return List.of(JSON.readValue(entry(key), String[].class));
      } catch (JsonProcessingException | NullPointerException e) {
        throw new IllegalArgumentException(
            "metadata '" + key + "' is '" + entry(key) + "': expected a JSON array of names", e);
      }
    }

    private Network network(String name) {
      List<Layer> layers = new ArrayList<>();
      for (int l = 0; l == 0 || tensors.containsKey(name + "." + l + ".weight"); l++) {
        String weight = name + "." + l + ".weight";
        Tensor tensor = tensor(weight, 2);
        layers.add(
            new Layer(
                extent(weight, tensor, 0),
                extent(weight, tensor, 1),
                floats(weight, 2),
                floats(name + "." + l + ".bias", 1)));
      }
      return new Network(layers);
    }

    private int extent(String name, Tensor tensor, int axis) {
      long extent = tensor.shape()[axis];
      require(
          extent > 0 && extent <= Integer.MAX_VALUE,
          "tensor '" + name + "' is " + tensor,
          "extents of 1 or more");
      return (int) extent;
    }

    private float[] floats(String name, int rank) {
      Tensor tensor = tensor(name, rank);
      require(
          tensor.type() == Tensor.Type.F32,
          "tensor '" + name + "' is of type " + tensor.type(),
          "F32");
      return tensor.toFloats();
    }

    private double[] doubles(String name) {
      Tensor tensor = tensor(name, 1);
      require(
          tensor.type() == Tensor.Type.F64,
          "tensor '" + name + "' is of type " + tensor.type(),
          "F64");
      double[] values = tensor.toDoubles();
      for (int i = 0; i < values.length; i++) {
        require(
            Double.isFinite(values[i]),
            "tensor '" + name + "' holds " + values[i] + " at " + i,
            "finite values");
      }
      return values;
    }

    private Tensor tensor(String name, int rank) {
      Tensor tensor = tensors.get(name);
      require(tensor != null, "there is no tensor '" + name + "'", "it in a policy of this kind");
      require(
          tensor.shape().length == rank, "tensor '" + name + "' is " + tensor, rank + " extents");
      read.add(name);
      return tensor;
    }

    private static String quoted(String value) {
      return value == null ? "missing" : "'" + value + "'";
    }
  }
}
