// Kernels that both NEON sets use, for every 64-bit Arm processor: linear layers of 16-bit input,
// requantization. Compiled with flags of its own: nothing but neon.h may be included here.
#include "kernels/neon.h"

namespace bsq {
namespace {

// Weights stand in pairs of inputs; loading takes the pairs apart.
struct Product16 {
  using Values = int16x8_t;

  BSQ_INLINE static void load(const int16_t* x, Values& values) { values = vld1q_s16(x); }

  template <int kR, int kQ>
  BSQ_INLINE static void add(const Values (&values)[kR], const int8_t* w, ptrdiff_t panel,
                             int32x4_t (&sums)[kR][kQ]) {
    two<0>(values, w, panel, sums);
    two<2>(values, w + 2 * kPanel, panel, sums);
    two<4>(values, w + 4 * kPanel, panel, sums);
    two<6>(values, w + 6 * kPanel, panel, sums);
  }

 private:
  // Two inputs: those from kFirst on of the eight in `values`.
  template <int kFirst, int kR, int kQ>
  BSQ_INLINE static void two(const int16x8_t (&values)[kR], const int8_t* w, ptrdiff_t panel,
                             int32x4_t (&sums)[kR][kQ]) {
#pragma GCC unroll 2
    for (int q = 0; q < kQ; q += 2) {
      const int8x8x2_t pairs = vld2_s8(w + q / 2 * panel);
      const int16x8_t first = vmovl_s8(pairs.val[0]);
      const int16x8_t second = vmovl_s8(pairs.val[1]);
#pragma GCC unroll 4
      for (int r = 0; r < kR; ++r) {
        int32x4_t low = vmlal_laneq_s16(sums[r][q], vget_low_s16(first), values[r], kFirst);
        int32x4_t high = vmlal_high_laneq_s16(sums[r][q + 1], first, values[r], kFirst);
        low = vmlal_laneq_s16(low, vget_low_s16(second), values[r], kFirst + 1);
        high = vmlal_high_laneq_s16(high, second, values[r], kFirst + 1);
        sums[r][q] = low;
        sums[r][q + 1] = high;
      }
    }
  }
};

using Input16 = Input<int16_t, Product16>;

// rq8() of 8 channels from channel c on.
BSQ_INLINE int8x8_t requantize8(const int16_t* x, const int32_t* m, const Rq& rq) {
  const int16x8_t values = vld1q_s16(x);
  const int32x4_t low = requantize(vmovl_s16(vget_low_s16(values)), vld1q_s32(m), rq);
  const int32x4_t high = requantize(vmovl_high_s16(values), vld1q_s32(m + 4), rq);
  return narrow8(narrow16(low, high));
}

template <class LookUp>
BSQ_INLINE void requantize_rows(const RequantView& requant, int channels, const int16_t* x,
                                ptrdiff_t x_stride, int rows, const LookUp& look_up, int8_t* out,
                                ptrdiff_t out_stride) {
  const Rq rq = make_rq(requant.shift);
  for (int t = 0; t < rows; ++t) {
    const int16_t* from = x + t * x_stride;
    int8_t* to = out + t * out_stride;
    int c = 0;
    for (; c + kPair <= channels; c += kPair) {
      const int8x8_t low = requantize8(from + c, requant.m + c, rq);
      const int8x8_t high = requantize8(from + c + 8, requant.m + c + 8, rq);
      vst1q_s8(to + c, look_up(vcombine_s8(low, high)));
    }
    if (c < channels) {
      const int8x8_t last = requantize8(from + c, requant.m + c, rq);
      vst1_s8(to + c, vget_low_s8(look_up(vcombine_s8(last, last))));
    }
  }
}

}  // namespace

void linear16_rq16_neon(const LinearView& layer, const int16_t* x, ptrdiff_t x_stride, int rows,
                        bool add, int16_t* out, ptrdiff_t out_stride) {
  linear(layer, Input16{x, x_stride}, rows, Rq16Out{out, out_stride, add});
}

void requant8_neon(const RequantView& requant, int channels, const int16_t* x, ptrdiff_t x_stride,
                   int rows, const int8_t* table, int8_t* out, ptrdiff_t out_stride) {
  if (table == nullptr) {
    const auto same = [](int8x16_t y) __attribute__((always_inline)) { return y; };
    requantize_rows(requant, channels, x, x_stride, rows, same, out, out_stride);
    return;
  }
  const Table values(table);
  const auto look_up = [&](int8x16_t y)
                           __attribute__((always_inline)) { return values.look_up(y); };
  requantize_rows(requant, channels, x, x_stride, rows, look_up, out, out_stride);
}

}  // namespace bsq
