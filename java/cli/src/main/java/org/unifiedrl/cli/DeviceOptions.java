package org.unifiedrl.cli;

import java.util.List;
import java.util.Locale;
import org.unifiedrl.engine.Precision;
import org.unifiedrl.engine.ReplayPlacement;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/** How a back end trains, where it has the choice; null where nothing is said. */
final class DeviceOptions {

  @Option(
      names = "--device",
      paramLabel = "N",
      description = "Index of the GPU, from 0 (default: 0).")
  Integer device;

  @Option(
      names = "--precision",
      paramLabel = "P",
      converter = PrecisionName.class,
      description =
          "Matrix products in fp32, tf32 or bf16; the last two on a GPU only (default: fp32).")
  Precision precision;

  @Option(
      names = "--replay",
      paramLabel = "WHERE",
      converter = PlacementName.class,
      description =
          "The log's rows on a GPU: resident in its memory, streamed from the host's, or auto,"
              + " resident if they fit (default: auto).")
  ReplayPlacement replay;

  /** Names of an enum in lower case, and an error that lists them. */
  private abstract static class Choice<E extends Enum<E>> implements ITypeConverter<E> {
    private final List<E> values;

    Choice(E[] values) {
      this.values = List.of(values);
    }

    @Override
    public E convert(String text) {
      List<String> names = values.stream().map(v -> v.name().toLowerCase(Locale.ROOT)).toList();
      int index = names.indexOf(text.toLowerCase(Locale.ROOT));
      if (index < 0) {
        throw new TypeConversionException(
            "expected one of "
                + String.join(", ", names)
                + ", found '"
                + text
                + "'"
                + Suggestion.nearest(text, names)
                    .map(name -> "; did you mean '" + name + "'?")
                    .orElse(""));
      }
      return values.get(index);
    }
  }

  static final class PrecisionName extends Choice<Precision> {
    PrecisionName() {
      super(Precision.values());
    }
  }

  static final class PlacementName extends Choice<ReplayPlacement> {
    PlacementName() {
      super(ReplayPlacement.values());
    }
  }
}
