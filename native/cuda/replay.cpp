#include "cuda/replay.h"

#include <algorithm>
#include <cstring>
#include <thread>

#include "core/error.h"
#include "ops/random.h"
#include "unifiedrl.h"

namespace unifiedrl::cuda {
namespace {

constexpr int64_t kStageBytes = int64_t{64} << 20;   // of one half, where steps are small
constexpr int64_t kMostStageSteps = 16;
constexpr int64_t kUploadBytes = int64_t{8} << 20;   // of one half of the memory that uploads go through
constexpr int32_t kMostThreads = 16;

double mib(int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

}  // namespace

DeviceReplay::DeviceReplay(const Program& program, const Replay* replay) : replay_(replay) {
  if (replay == nullptr) {
    return;
  }
  used_.resize(replay->widths().size());
  for (size_t o = 0; o < program.ops.size(); ++o) {
    const Op& op = program.ops[o];
    if (op.code != UNIFIEDRL_OP_GATHER) {
      continue;
    }
    const Tensor& rows = program.tensors[static_cast<size_t>(op.t[0])];
    int64_t stream = program.ops[static_cast<size_t>(rows.producer)].i[0];
    int64_t width = op.i[0] == UNIFIEDRL_LAST_COLUMN ? 1 : replay->widths()[static_cast<size_t>(op.i[0])];
    fetches_.push_back({o, stream, rows.rows, op.i[0], op.i[1], width, step_floats_});
    step_floats_ += rows.rows * width;
    if (op.i[0] != UNIFIEDRL_LAST_COLUMN) {
      used_[static_cast<size_t>(op.i[0])] = 1;
    }
  }
}

void DeviceReplay::allocate(int32_t placement, int64_t free, int32_t threads, Stream& stream) {
  if (fetches_.empty()) {
    return;
  }
  int64_t whole = replay_->rows();
  for (size_t c = 0; c < used_.size(); ++c) {
    whole += used_[c] == 0 ? 0 : replay_->rows() * replay_->widths()[c] * static_cast<int64_t>(sizeof(float));
  }
  bool fits = whole <= free;
  if (placement == UNIFIEDRL_REPLAY_RESIDENT && !fits) {
    throw Error(UNIFIEDRL_OUT_OF_MEMORY, format("the replay needs %.0f MiB of the device, but the program leaves %.0f MiB of it: let it be streamed, or use "
                                                "fewer rows, a smaller batch or a smaller ensemble",
                                                mib(whole), mib(free)));
  }
  threads_ = threads > 0 ? std::min(threads, kMostThreads) : std::clamp<int32_t>(static_cast<int32_t>(std::thread::hardware_concurrency()), 1, kMostThreads);
  if (placement != UNIFIEDRL_REPLAY_STREAMED && fits) {
    last_.allocate(static_cast<size_t>(replay_->rows()), "the replay");
    columns_.resize(used_.size());
    for (size_t c = 0; c < used_.size(); ++c) {
      if (used_[c] != 0) {
        columns_[c].allocate(static_cast<size_t>(replay_->rows() * replay_->widths()[c]) * sizeof(float), "the replay");
      }
    }
    upload(stream);
    bytes_ = whole;
    description_ = format("replay on the device (%.1f MiB)", mib(whole));
    return;
  }
  int64_t step_bytes = step_floats_ * static_cast<int64_t>(sizeof(float));
  if (2 * step_bytes > free) {
    throw Error(UNIFIEDRL_OUT_OF_MEMORY, format("streaming the replay needs %.0f MiB of the device for two steps' rows, but the program leaves %.0f MiB of "
                                                "it: use a smaller batch or ensemble",
                                                mib(2 * step_bytes), mib(free)));
  }
  stage_steps_ = std::clamp<int64_t>(std::min(kStageBytes, free / 2) / step_bytes, 1, kMostStageSteps);
  stage_slot_ = (stage_steps_ * step_bytes + 255) / 256 * 256;
  stage_.allocate(static_cast<size_t>(2 * stage_slot_), "streaming the replay");
  host_.allocate(static_cast<size_t>(2 * stage_slot_), "streaming the replay");
  copies_ = std::make_unique<Stream>(0);
  for (int half : {0, 1}) {
    copied_[half] = std::make_unique<Event>();
    consumed_[half] = std::make_unique<Event>();
  }
  bytes_ = 2 * stage_slot_;
  description_ = format("replay streamed, %lld steps at a time (%s)", static_cast<long long>(stage_steps_),
                        fits ? "as asked for" : format("%.0f MiB, but %.0f MiB are left of the device", mib(whole), mib(free)).c_str());
}

void DeviceReplay::upload(Stream& stream) {
  HostBuffer halves(static_cast<size_t>(2 * kUploadBytes), "uploading the replay");
  Event copied[2];
  int half = 0;
  const auto copy = [&](char* to, const char* from, int64_t bytes) {
    for (int64_t done = 0; done < bytes; half ^= 1) {
      int64_t part = std::min(kUploadBytes, bytes - done);
      char* room = halves.as<char>() + half * kUploadBytes;
      copied[half].synchronise();
      std::memcpy(room, from + done, static_cast<size_t>(part));
      copy_to_device(to + done, room, static_cast<size_t>(part), stream);
      copied[half].record(stream);
      done += part;
    }
  };
  for (const Replay::Segment& segment : replay_->segments()) {
    copy(last_.as<char>() + segment.first_row, reinterpret_cast<const char*>(segment.last), segment.rows);
    for (size_t c = 0; c < used_.size(); ++c) {
      if (used_[c] != 0) {
        int64_t row = replay_->widths()[c] * static_cast<int64_t>(sizeof(float));
        copy(columns_[c].as<char>() + segment.first_row * row, reinterpret_cast<const char*>(segment.columns[c]), segment.rows * row);
      }
    }
  }
  stream.synchronise();
}

const float* DeviceReplay::column(int64_t column) const {
  return column == UNIFIEDRL_LAST_COLUMN ? nullptr : columns_[static_cast<size_t>(column)].as<float>();
}

const float* DeviceReplay::stage(size_t op) const {
  for (const Fetch& fetch : fetches_) {
    if (fetch.op == op) {
      return stage_.as<float>() + fetch.place * stage_steps_;
    }
  }
  return nullptr;
}

void DeviceReplay::gather(const Fetch& fetch, int64_t step, int64_t first, int64_t last, uint64_t seed, float* out) const {
  // Rows lie at random places: what they are and where is found some rows ahead, so that their memory is on its way when it is copied.
  constexpr int64_t kAhead = 16;
  const float* from[kAhead] = {};
  uint8_t flags[kAhead] = {};
  const auto find = [&](int64_t b) {
    int64_t row = sample_row(seed, step, fetch.stream, b, replay_->rows());
    size_t segment = replay_->segment_of(row);
    const Replay::Segment& s = replay_->segments()[segment];
    row += fetch.offset == 1 && s.last[row - s.first_row] == 0 ? 1 : 0;
    if (fetch.column == UNIFIEDRL_LAST_COLUMN) {
      flags[b % kAhead] = s.last[row - s.first_row];
      return;
    }
    const float* at = replay_->at(static_cast<size_t>(fetch.column), segment, row);
    for (int64_t k = 0; k < fetch.width; k += 16) {
      __builtin_prefetch(at + k);
    }
    from[b % kAhead] = at;
  };
  for (int64_t b = first; b < std::min(first + kAhead, last); ++b) {
    find(b);
  }
  for (int64_t b = first; b < last; ++b) {
    if (fetch.column == UNIFIEDRL_LAST_COLUMN) {
      out[b] = static_cast<float>(flags[b % kAhead]);
    } else {
      std::memcpy(out + b * fetch.width, from[b % kAhead], static_cast<size_t>(fetch.width) * sizeof(float));
    }
    if (b + kAhead < last) {
      find(b + kAhead);
    }
  }
}

void DeviceReplay::provide(int64_t first, int64_t steps, int half, uint64_t seed, Stream& stream) {
  float* room = reinterpret_cast<float*>(host_.as<char>() + half * stage_slot_);
  copied_[half]->synchronise();
  const auto share = [&](int32_t thread) {
    for (int64_t k = 0; k < steps; ++k) {
      for (const Fetch& fetch : fetches_) {
        float* out = room + fetch.place * stage_steps_ + k * fetch.batch * fetch.width;
        gather(fetch, first + k, fetch.batch * thread / threads_, fetch.batch * (thread + 1) / threads_, seed, out);
      }
    }
  };
  // A block of steps is megabytes: starting threads for it costs a few microseconds in a millisecond.
  std::vector<std::thread> others;
  if (steps * step_floats_ > (1 << 18)) {
    try {
      for (int32_t thread = 1; thread < threads_; ++thread) {
        others.emplace_back(share, thread);
      }
    } catch (const std::exception&) {  // no more threads to be had: this one does the rest
    }
  }
  share(0);
  for (int32_t thread = static_cast<int32_t>(others.size()) + 1; thread < threads_; ++thread) {
    share(thread);
  }
  for (std::thread& thread : others) {
    thread.join();
  }
  copies_->wait(*consumed_[half]);
  if (steps == stage_steps_) {
    size_t offset = static_cast<size_t>(half * stage_slot_);
    copy_to_device(stage_.as<char>() + offset, host_.as<char>() + offset, static_cast<size_t>(stage_slot_), *copies_);
  } else {
    float* stage = reinterpret_cast<float*>(stage_.as<char>() + half * stage_slot_);
    for (const Fetch& fetch : fetches_) {
      int64_t from = fetch.place * stage_steps_;
      copy_to_device(stage + from, room + from, static_cast<size_t>(steps * fetch.batch * fetch.width) * sizeof(float), *copies_);
    }
  }
  copied_[half]->record(*copies_);
  stream.wait(*copied_[half]);
}

}  // namespace unifiedrl::cuda
