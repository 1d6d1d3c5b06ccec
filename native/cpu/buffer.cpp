#include "cpu/buffer.h"

#include <cstring>

#include "core/error.h"
#include "unifiedrl.h"

namespace unifiedrl::cpu {

Buffer::Buffer(int64_t floats, const char* what) : size_(floats) {
  size_t size = static_cast<size_t>(bytes(floats));
  data_.reset(static_cast<float*>(std::aligned_alloc(64, size)));
  if (data_ == nullptr) {
    throw Error(UNIFIEDRL_OUT_OF_MEMORY, format("no memory for %s: %zu MiB wanted", what, size >> 20));
  }
  std::memset(data_.get(), 0, size);
}

}  // namespace unifiedrl::cpu
