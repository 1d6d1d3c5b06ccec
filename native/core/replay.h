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

  explicit Replay(std::vector<int64_t> widths) : widths_(std::move(widths)), starts_(widths_.size()) {}
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

  // Number of the segment that holds a row. Batches jump about at random, so the search starts where the row's block of 1,024 rows begins.
  size_t segment_of(int64_t row) const {
    size_t s = blocks_[static_cast<size_t>(row >> kBlockBits)];
    while (row >= ends_[s]) {
      ++s;
    }
    return s;
  }
  // Where a row of a column lies, given its segment.
  const float* at(size_t column, size_t segment, int64_t row) const {
    return reinterpret_cast<const float*>(starts_[column][segment] + static_cast<uintptr_t>(row * widths_[column]) * sizeof(float));
  }

 private:
  ~Replay() = default;

  std::vector<int64_t> widths_;
  std::atomic<int64_t> holders_{1};
  static constexpr int kBlockBits = 10;

  std::vector<Segment> segments_;
  std::vector<uint32_t> blocks_;                // segment of the first row of each block
  std::vector<int64_t> ends_;                   // row behind each segment
  std::vector<std::vector<uintptr_t>> starts_;  // address that row 0 would have, by column and segment
  int64_t rows_ = 0;
};

}  // namespace unifiedrl
