// Kernels for every 64-bit Arm processor: linear layers of 8-bit input, depthwise convolution, and
// the set's table. Compiled with flags of its own: nothing but neon.h may be included here.
#include "kernels/neon.h"

namespace bsq {
namespace {

// Adds four products to each of 8 sums: two of them are summed in 16 bits (at most 2 * 127 * 127 =
// 32258), and neighbours then in 32 bits, which is two multiplications and one addition for 16
// products. As instructions: with the intrinsics, GCC 12 begins more products than there are
// registers.
BSQ_INLINE void multiply(int32x4_t& low, int32x4_t& high, int8x16_t a, int8x16_t wa, int8x16_t b,
                         int8x16_t wb) {
  int16x8_t low_pairs;
  int16x8_t high_pairs;
  asm("smull %2.8h, %4.8b, %5.8b\n\t"
      "smull2 %3.8h, %4.16b, %5.16b\n\t"
      "smlal %2.8h, %6.8b, %7.8b\n\t"
      "smlal2 %3.8h, %6.16b, %7.16b\n\t"
      "sadalp %0.4s, %2.8h\n\t"
      "sadalp %1.4s, %3.8h"
      : "+w"(low), "+w"(high), "=&w"(low_pairs), "=&w"(high_pairs)
      : "w"(a), "w"(wa), "w"(b), "w"(wb));
}

struct Product8 {
  using Values = int16x4_t;

  BSQ_INLINE static void load(const int8_t* x, Values& values) {
    values = vreinterpret_s16_s8(vld1_s8(x));
    asm("" : "+w"(values));  // or GCC 12 loads its elements through general registers
  }

  template <int kR, int kQ>
  BSQ_INLINE static void add(const Values (&values)[kR], const int8_t* w, ptrdiff_t panel,
                             int32x4_t (&sums)[kR][kQ]) {
    four<0>(values, w, panel, sums);
    four<2>(values, w + 4 * kPanel, panel, sums);
  }

 private:
  // Four inputs: two pairs from kFirst on of the four in `values`.
  template <int kFirst, int kR, int kQ>
  BSQ_INLINE static void four(const int16x4_t (&values)[kR], const int8_t* w, ptrdiff_t panel,
                              int32x4_t (&sums)[kR][kQ]) {
    int8x16_t weights[kQ];
#pragma GCC unroll 4
    for (int q = 0; q < kQ; ++q) weights[q] = vld1q_s8(w + q / 2 * panel + q % 2 * 2 * kPanel);
#pragma GCC unroll 4
    for (int r = 0; r < kR; ++r) {
      const int8x16_t a = vreinterpretq_s8_s16(vdupq_lane_s16(values[r], kFirst));
      const int8x16_t b = vreinterpretq_s8_s16(vdupq_lane_s16(values[r], kFirst + 1));
#pragma GCC unroll 2
      for (int q = 0; q < kQ; q += 2) {
        multiply(sums[r][q], sums[r][q + 1], a, weights[q], b, weights[q + 1]);
      }
    }
  }
};

using Input8 = Input<int8_t, Product8>;

// ---- depthwise convolution ----

constexpr int kSide = 5;
constexpr int kTaps = 25;
constexpr int kTokens = 4;  // neighbours that share the loads of weights and inputs

// Adds 8 channels of kT neighbours to the sums; two products at a time fit in 16 bits, since
// 2 * 127 * 127 = 32258.
template <int kT>
BSQ_INLINE void convolve(const int8_t* x, ptrdiff_t row_stride, int channels, const int8_t* w,
                         int32x4_t (&sums)[kT][2]) {
  int8x8_t inputs[kT + kSide - 1];
  int16x8_t pairs[kT];
#pragma GCC unroll 25
  for (int tap = 0; tap < kTaps; ++tap) {
    const int column = tap % kSide;
    if (column == 0) {
      asm volatile("" ::: "memory");  // or GCC 12 loads all rows first and runs out of registers
      const int8_t* row = x + (tap / kSide - 2) * row_stride - 2 * channels;
#pragma GCC unroll 8
      for (int i = 0; i < kT + kSide - 1; ++i) inputs[i] = vld1_s8(row + i * channels);
    }
    const int8x8_t weights = vld1_s8(w + tap * channels);
#pragma GCC unroll 4
    for (int t = 0; t < kT; ++t) {
      const int8x8_t input = inputs[t + column];
      pairs[t] = tap % 2 == 0 ? vmull_s8(input, weights) : vmlal_s8(pairs[t], input, weights);
      if (tap % 2 != 0 || tap + 1 == kTaps) {
        sums[t][0] = vaddw_s16(sums[t][0], vget_low_s16(pairs[t]));
        sums[t][1] = vaddw_high_s16(sums[t][1], pairs[t]);
      }
    }
  }
}

// 8 channels, from channel c on, of kT neighbours.
template <int kT>
void tokens(const DepthwiseView& layer, int c, const int8_t* x, ptrdiff_t row_stride, int8_t* out,
            ptrdiff_t out_stride) {
  int32x4_t sums[kT][2];
#pragma GCC unroll 4
  for (int t = 0; t < kT; ++t) {
    sums[t][0] = vld1q_s32(layer.b + c);
    sums[t][1] = vld1q_s32(layer.b + c + 4);
  }
  convolve<kT>(x + c, row_stride, layer.channels, layer.w + c, sums);
  const Rq rq = make_rq(layer.shift);
  const int32x4_t low = vld1q_s32(layer.m + c);
  const int32x4_t high = vld1q_s32(layer.m + c + 4);
#pragma GCC unroll 4
  for (int t = 0; t < kT; ++t) {
    const int16x8_t y = narrow16(requantize(sums[t][0], low, rq), requantize(sums[t][1], high, rq));
    vst1_s8(out + t * out_stride + c, narrow8(y));
  }
}

void dwconv5_rq8(const DepthwiseView& layer, const int8_t* x, ptrdiff_t row_stride, int count,
                 int8_t* out, ptrdiff_t out_stride) {
  for (int t = 0; t < count; t += kTokens) {
    const int8_t* from = x + static_cast<ptrdiff_t>(t) * layer.channels;
    int8_t* to = out + t * out_stride;
    for (int c = 0; c < layer.channels; c += 8) {
      switch (count - t) {
        case 1:
          tokens<1>(layer, c, from, row_stride, to, out_stride);
          break;
        case 2:
          tokens<2>(layer, c, from, row_stride, to, out_stride);
          break;
        case 3:
          tokens<3>(layer, c, from, row_stride, to, out_stride);
          break;
        default:
          tokens<kTokens>(layer, c, from, row_stride, to, out_stride);
      }
    }
  }
}

}  // namespace

const KernelTable kKernelsNeon =
    neon_table<Input8>("neon", pack_linear_pairs, pack_depthwise_scalar, dwconv5_rq8);

}  // namespace bsq
