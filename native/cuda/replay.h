// The replay as kernels read it: whole on the device where it fits, else streamed. A streamed run gathers the rows of some steps ahead on the host
// into page-locked memory, twice over: one half is filled and copied while the device works on the other.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/program.h"
#include "core/replay.h"
#include "cuda/device.h"

namespace unifiedrl::cuda {

class DeviceReplay {
 public:
  // What one gather op reads. `replay` may be null for programs that draw nothing.
  DeviceReplay(const Program& program, const Replay* replay);

  // Decides between the two and allocates; `free` bytes are what the rest leaves of the device. Fails when the replay is wanted resident and is too
  // large, or when not even one step's rows fit.
  void allocate(int32_t placement, int64_t free, int32_t threads, Stream& stream);
  bool streamed() const { return stage_steps_ > 0; }
  int64_t device_bytes() const { return bytes_; }
  // Where the rows are and why.
  const std::string& description() const { return description_; }

  int64_t rows() const { return replay_ == nullptr ? 0 : replay_->rows(); }
  // Resident.
  const float* column(int64_t column) const;
  const uint8_t* last() const { return last_.as<uint8_t>(); }
  // Streamed: first row of a gather op's part of the stage, bytes between the halves, steps in one.
  const float* stage(size_t op) const;
  int64_t stage_slot() const { return stage_slot_; }
  int64_t stage_steps() const { return stage_steps_; }

  // Streamed: makes `stream` wait for the rows of steps [first, first + steps), steps at most stage_steps(), in half 0 or 1. After the launches that
  // read them: consumed().
  void provide(int64_t first, int64_t steps, int half, uint64_t seed, Stream& stream);
  void consumed(int half, Stream& stream) { consumed_[half]->record(stream); }

 private:
  struct Fetch {
    size_t op;
    int64_t stream, batch, column, offset, width;
    int64_t place;  // floats from the start of a half, for one step in it
  };
  void upload(Stream& stream);
  void gather(const Fetch& fetch, int64_t step, int64_t first, int64_t last, uint64_t seed, float* out) const;

  const Replay* replay_;
  std::vector<Fetch> fetches_;
  std::vector<char> used_;              // columns
  std::vector<DeviceBuffer> columns_;
  DeviceBuffer last_, stage_;
  HostBuffer host_;
  int64_t step_floats_ = 0, stage_slot_ = 0, stage_steps_ = 0, bytes_ = 0;
  int32_t threads_ = 1;
  std::string description_ = "no replay";
  std::unique_ptr<Stream> copies_;
  std::unique_ptr<Event> copied_[2], consumed_[2];
};

}  // namespace unifiedrl::cuda
