// What the tensor cores' twins do for a whole warp at once.
#include "cuda/tile.h"

namespace unifiedrl::cuda::emulated {

namespace {

typedef float Row __attribute__((vector_size(32)));  // eight columns

MultiplyAdd& part(void* lane) { return *static_cast<MultiplyAdd*>(lane); }

template <int kInner>
void multiply_add(void* const lanes[kWarp], const float (&a)[16][kInner], const Row (&b)[kInner]) {
  Row c[16];
  for (int lane = 0; lane < kWarp; ++lane) {
    for (int i = 0; i < 4; ++i) {
      c[lane / 4 + i / 2 * 8][lane % 4 * 2 + i % 2] = part(lanes[lane]).c->x[i];
    }
  }
  for (int row = 0; row < 16; ++row) {
    for (int k = 0; k < kInner; ++k) {
      c[row] += a[row][k] * b[k];
    }
  }
  for (int lane = 0; lane < kWarp; ++lane) {
    for (int i = 0; i < 4; ++i) {
      part(lanes[lane]).c->x[i] = c[lane / 4 + i / 2 * 8][lane % 4 * 2 + i % 2];
    }
  }
}

float half(uint32_t pair, int which) { return to_float(bf16{static_cast<uint16_t>(pair >> (16 * which))}); }

}  // namespace

void multiply_add_bf16(void* const lanes[kWarp]) {
  float a[16][16];
  Row b[16];
  for (int lane = 0; lane < kWarp; ++lane) {
    int group = lane / 4, pair = lane % 4 * 2;
    for (int i = 0; i < 8; ++i) {
      a[group + (i / 2) % 2 * 8][pair + i % 2 + i / 4 * 8] = half(part(lanes[lane]).a[i / 2], i % 2);
    }
    for (int i = 0; i < 4; ++i) {
      b[pair + i % 2 + i / 2 * 8][group] = half(part(lanes[lane]).b[i / 2], i % 2);
    }
  }
  multiply_add(lanes, a, b);
}

void multiply_add_tf32(void* const lanes[kWarp]) {
  float a[16][8];
  Row b[8];
  for (int lane = 0; lane < kWarp; ++lane) {
    int group = lane / 4, place = lane % 4;
    for (int i = 0; i < 4; ++i) {
      // The unit does not look at the bits below tf32's.
      a[group + i % 2 * 8][place + i / 2 * 4] = as_float(part(lanes[lane]).a[i] & 0xffffe000u);
    }
    for (int i = 0; i < 2; ++i) {
      b[place + i * 4][group] = as_float(part(lanes[lane]).b[i] & 0xffffe000u);
    }
  }
  multiply_add(lanes, a, b);
}

void check_row(const Shared<const bf16>& row) {
  if (row.position_ % 16 != 0) {
    fail_access(row.position_, 16, row.begin_, row.end_, false, row.made_);
  }
}

}  // namespace unifiedrl::cuda::emulated
