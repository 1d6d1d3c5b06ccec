// The parts of device.h that a device and its emulation have in common.
#include "cuda/device.h"

#include <utility>

#include "unifiedrl.h"

namespace unifiedrl::cuda {

DeviceBuffer::DeviceBuffer(DeviceBuffer&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
DeviceBuffer& DeviceBuffer::operator=(DeviceBuffer&& other) noexcept {
  DeviceBuffer old(std::move(*this));
  data_ = std::exchange(other.data_, nullptr);
  size_ = std::exchange(other.size_, 0);
  return *this;
}

HostBuffer::HostBuffer(HostBuffer&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
HostBuffer& HostBuffer::operator=(HostBuffer&& other) noexcept {
  HostBuffer old(std::move(*this));
  data_ = std::exchange(other.data_, nullptr);
  size_ = std::exchange(other.size_, 0);
  return *this;
}

Error out_of_device_memory(const char* what, size_t wanted, size_t free, size_t total) {
  constexpr double kMib = 1 << 20;
  return Error(UNIFIEDRL_OUT_OF_MEMORY,
               format("%s needs %.1f MiB of device memory (%zu bytes), but %.1f MiB (%zu bytes) of %.0f MiB are free; lower the batch, the hidden "
                      "sizes or the members of the ensembles, let replay rows stay on the host (streamed), or free memory that others hold",
                      what, static_cast<double>(wanted) / kMib, wanted, static_cast<double>(free) / kMib, free, static_cast<double>(total) / kMib));
}

}  // namespace unifiedrl::cuda
