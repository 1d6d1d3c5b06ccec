// The kernel side of device.h on a device.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <tuple>
#include <type_traits>
#include <utility>

#define UNIFIEDRL_KERNEL __global__
#define UNIFIEDRL_DEVICE __device__ __forceinline__
#define UNIFIEDRL_UNROLL _Pragma("unroll")
#define UNIFIEDRL_PARAMETER const __grid_constant__

namespace unifiedrl::cuda {

using bf16 = __nv_bfloat16;

template <typename T>
using Shared = T*;

// Throws Error for any status but success; `what` says what was done.
void check(cudaError_t status, const char* what);

void launch_kernel(const void* kernel, Dim grid, Dim block, size_t shared_bytes, Stream& stream, void** arguments);

template <typename... Parameters, typename... Arguments>
void launch(void (*kernel)(Parameters...), Dim grid, Dim block, size_t shared_bytes, Stream& stream, Arguments&&... arguments) {
  static_assert(sizeof...(Parameters) == sizeof...(Arguments), "as many arguments as the kernel has parameters");
  std::tuple<std::decay_t<Parameters>...> values(static_cast<Parameters>(std::forward<Arguments>(arguments))...);
  std::apply(
      [&](auto&... value) {
        void* addresses[] = {static_cast<void*>(&value)..., nullptr};
        launch_kernel(reinterpret_cast<const void*>(kernel), grid, block, shared_bytes, stream, addresses);
      },
      values);
}

__host__ __device__ inline float to_float(bf16 x) { return __bfloat162float(x); }
__host__ __device__ inline bf16 to_bf16(float x) { return __float2bfloat16_rn(x); }

#if defined(__CUDACC__)

template <typename T>
UNIFIEDRL_DEVICE T* shared(size_t byte_offset, size_t) {
  extern __shared__ __align__(128) unsigned char unifiedrl_shared_memory[];
  return reinterpret_cast<T*>(unifiedrl_shared_memory + byte_offset);
}

template <typename U, typename T>
UNIFIEDRL_DEVICE U* as(T* view) {
  return reinterpret_cast<U*>(view);
}

constexpr unsigned kWholeWarp = 0xffffffffu;

UNIFIEDRL_DEVICE int lane_index() {
  int lane;
  asm("mov.u32 %0, %%laneid;" : "=r"(lane));
  return lane;
}
UNIFIEDRL_DEVICE void warp_sync() { __syncwarp(); }
template <typename T>
UNIFIEDRL_DEVICE T shuffle(T value, int lane) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8, "4 or 8 bytes");
  return __shfl_sync(kWholeWarp, value, lane);
}
template <typename T>
UNIFIEDRL_DEVICE T shuffle_xor(T value, int lane_mask) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8, "4 or 8 bytes");
  return __shfl_xor_sync(kWholeWarp, value, lane_mask);
}
template <typename T>
UNIFIEDRL_DEVICE T shuffle_down(T value, int delta) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8, "4 or 8 bytes");
  return __shfl_down_sync(kWholeWarp, value, static_cast<unsigned>(delta));
}
UNIFIEDRL_DEVICE uint32_t warp_ballot(bool value) { return __ballot_sync(kWholeWarp, value); }

UNIFIEDRL_DEVICE uint32_t as_uint(float x) { return __float_as_uint(x); }
UNIFIEDRL_DEVICE float as_float(uint32_t x) { return __uint_as_float(x); }

UNIFIEDRL_DEVICE float load_as_float(const float* p) { return *p; }
UNIFIEDRL_DEVICE float load_as_float(const bf16* p) { return __bfloat162float(*p); }
UNIFIEDRL_DEVICE void store_from_float(float* p, float x) { *p = x; }
UNIFIEDRL_DEVICE void store_from_float(bf16* p, float x) { *p = __float2bfloat16_rn(x); }

UNIFIEDRL_DEVICE uint32_t shared_address(const void* p) { return static_cast<uint32_t>(__cvta_generic_to_shared(p)); }

template <typename T>
UNIFIEDRL_DEVICE void copy_async16(T* view, int64_t index, const void* global, int valid = 16) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(view + index)), "l"(__cvta_generic_to_global(global)), "r"(valid)
               : "memory");
}
UNIFIEDRL_DEVICE void copy_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int N>
UNIFIEDRL_DEVICE void copy_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

#endif  // __CUDACC__

}  // namespace unifiedrl::cuda
