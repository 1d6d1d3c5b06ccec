// The engine's view of an experience store: borrowed columns in segments.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace unifiedrl {

class Replay {
 public:
  struct Segment {
    std::vector<const float*> columns;
    const uint8_t* last;
    int64_t first_row;  // number of rows before this segment
    int64_t rows;
  };

  explicit Replay(std::vector<int64_t> widths) : widths_(std::move(widths)) {}
  void add(const float* const* columns, const uint8_t* last, int64_t rows);

  int64_t rows() const { return rows_; }
  const std::vector<int64_t>& widths() const { return widths_; }
  const std::vector<Segment>& segments() const { return segments_; }

  // Segment that holds a row; segments are few, and the last one found is tried first.
  const Segment& segment_of(int64_t row, size_t* hint) const {
    const Segment* s = &segments_[*hint];
    if (row >= s->first_row && row < s->first_row + s->rows) {
      return *s;
    }
    size_t low = 0, high = segments_.size();
    while (high - low > 1) {
      size_t middle = (low + high) / 2;
      (segments_[middle].first_row <= row ? low : high) = middle;
    }
    *hint = low;
    return segments_[low];
  }

 private:
  std::vector<int64_t> widths_;
  std::vector<Segment> segments_;
  int64_t rows_ = 0;
};

}  // namespace unifiedrl
