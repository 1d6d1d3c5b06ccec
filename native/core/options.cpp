#include "core/options.h"

#include "core/error.h"

namespace unifiedrl {

void check_options(const unifiedrl_options& options) {
  // First: with another size, no other member need be where it is looked for.
  if (options.size != 0 && options.size != static_cast<int32_t>(sizeof options)) {
    fail_argument("size is %d, but this library (ABI version %d) knows options of %zu bytes: build the caller with this library's unifiedrl.h",
                  options.size, UNIFIEDRL_ABI_VERSION, sizeof options);
  }
  if (options.threads < 0 || options.threads > 1024) {
    fail_argument("threads is %d; it must be 0 (default) to 1024", options.threads);
  }
  if (options.tile_rows < 0 || options.tile_rows % 16 != 0) {
    fail_argument("tile_rows is %d; it must be 0 (default) or a multiple of 16", options.tile_rows);
  }
  if (options.materialise != 0 && options.materialise != 1) {
    fail_argument("materialise is %d; it must be 0 or 1", options.materialise);
  }
  if (options.isa < 0 || options.isa > 3) {
    fail_argument("isa is %d; it must be 0 (best), 1 (baseline), 2 (AVX2) or 3 (AVX-512)", options.isa);
  }
  if (options.device < 0) {
    fail_argument("device is %d; devices count from 0", options.device);
  }
  if (options.precision < UNIFIEDRL_FP32 || options.precision > UNIFIEDRL_BF16) {
    fail_argument("precision is %d; it must be 0 (fp32), 1 (tf32) or 2 (bf16)", options.precision);
  }
  if (options.replay < UNIFIEDRL_REPLAY_AUTO || options.replay > UNIFIEDRL_REPLAY_STREAMED) {
    fail_argument("replay is %d; it must be 0 (auto), 1 (resident) or 2 (streamed)", options.replay);
  }
}

void check_host_options(const char* backend, const unifiedrl_options& options) {
  if (options.device != 0) {
    throw Error(UNIFIEDRL_UNAVAILABLE,
                format("device is %d, but back end '%s' runs on the host and has no other than 0: use that, or a back end with devices", options.device,
                       backend));
  }
  if (options.precision != UNIFIEDRL_FP32) {
    throw Error(UNIFIEDRL_UNAVAILABLE, format("precision is %d (%s), but back end '%s' has only fp32: use fp32 (0), or a back end that has it",
                                              options.precision, precision_name(options.precision), backend));
  }
}

const char* precision_name(int32_t precision) {
  static const char* const names[] = {"fp32", "tf32", "bf16"};
  return precision < UNIFIEDRL_FP32 || precision > UNIFIEDRL_BF16 ? "?" : names[precision];
}

}  // namespace unifiedrl
