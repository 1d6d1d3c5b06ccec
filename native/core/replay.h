// The engine's view of an experience store: borrowed columns in segments. Held by its handle and by every engine that reads it; the last one
// to release it deletes it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>
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

  struct Release {
    void operator()(Replay* replay) const { replay->release(); }
  };

  explicit Replay(std::vector<int64_t> widths) : widths_(std::move(widths)) {}
  void hold() { holders_.fetch_add(1); }
  void release() {
    if (holders_.fetch_sub(1) == 1) {
      delete this;
    }
  }
  // Fails while an engine holds the replay: its steps read what this changes.
  void add(const float* const* columns, const uint8_t* last, int64_t rows);

  int64_t rows() const { return rows_; }
  const std::vector<int64_t>& widths() const { return widths_; }
  const std::vector<Segment>& segments() const { return segments_; }

  // Segment that holds a row. Batches jump about at random, so the search starts where the row's block of 1,024 rows begins.
  const Segment& segment_of(int64_t row) const {
    const Segment* s = &segments_[blocks_[static_cast<size_t>(row >> kBlockBits)]];
    while (row >= s->first_row + s->rows) {
      ++s;
    }
    return *s;
  }

 private:
  ~Replay() = default;

  std::vector<int64_t> widths_;
  std::atomic<int64_t> holders_{1};
  static constexpr int kBlockBits = 10;

  std::vector<Segment> segments_;
  std::vector<uint32_t> blocks_;  // segment of the first row of each block
  int64_t rows_ = 0;
};

}  // namespace unifiedrl
