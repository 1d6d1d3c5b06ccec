#include "core/replay.h"

#include <algorithm>

#include "core/error.h"

namespace unifiedrl {

void Replay::add(const float* const* columns, const uint8_t* last, int64_t rows) {
  if (holders_.load() > 1) {
    fail_argument("an engine uses this replay: add segments before the engine is created, or close it first");
  }
  if (rows < 1) {
    fail_argument("a replay segment has %lld rows; at least 1 is needed", static_cast<long long>(rows));
  }
  Segment segment;
  for (size_t c = 0; c < widths_.size(); ++c) {
    if (columns[c] == nullptr) {
      fail_argument("replay column %zu has no address", c);
    }
    if (reinterpret_cast<uintptr_t>(columns[c]) % sizeof(float) != 0) {
      fail_argument("replay column %zu is at the address %p, which is not a multiple of 4: float32 values need one that is", c,
                    static_cast<const void*>(columns[c]));
    }
    segment.columns.push_back(columns[c]);
  }
  if (last == nullptr) {
    fail_argument("the last-of-session flags have no address");
  }
  const uint8_t* bad = std::find_if(last, last + rows, [](uint8_t flag) { return flag > 1; });
  if (bad != last + rows) {
    fail_argument("row %lld of a replay segment has the last-of-session flag %d; it must be 0 or 1", static_cast<long long>(bad - last), *bad);
  }
  if (last[rows - 1] != 1) {
    fail_argument("the final row of a replay segment does not end its session (flag %d): cut segments at session ends", last[rows - 1]);
  }
  segment.last = last;
  segment.first_row = rows_;
  segment.rows = rows;
  for (size_t c = 0; c < widths_.size(); ++c) {
    starts_[c].push_back(reinterpret_cast<uintptr_t>(columns[c]) - static_cast<uintptr_t>(rows_ * widths_[c]) * sizeof(float));
  }
  rows_ += rows;
  ends_.push_back(rows_);
  while (static_cast<int64_t>(blocks_.size()) << kBlockBits < rows_) {
    blocks_.push_back(static_cast<uint32_t>(segments_.size()));
  }
  segments_.push_back(std::move(segment));
}

}  // namespace unifiedrl
