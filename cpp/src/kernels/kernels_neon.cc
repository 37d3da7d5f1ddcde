// Kernels for every 64-bit Arm processor: linear layers of 8-bit input, and the set's table.
// Compiled with flags of its own: nothing but neon.h may be included here.
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

struct Input8 {
  const int8_t* x;
  ptrdiff_t stride;

  template <int kR, int kQ>
  BSQ_INLINE void accumulate(const LinearView& layer, int n, int t,
                             int32x4_t (&sums)[kR][kQ]) const {
    const int8_t* w = layer.w + static_cast<ptrdiff_t>(n) * layer.k;
    const ptrdiff_t panel = static_cast<ptrdiff_t>(kPanel) * layer.k;
    for (int k = 0; k < layer.k; k += 8, w += 8 * kPanel) {
      int16x4_t values[kR];
#pragma GCC unroll 4
      for (int r = 0; r < kR; ++r) {
        values[r] = vreinterpret_s16_s8(vld1_s8(x + (t + r) * stride + k));
        asm("" : "+w"(values[r]));  // or GCC 12 loads its elements through general registers
      }
      four<0>(values, w, panel, sums);
      four<2>(values, w + 4 * kPanel, panel, sums);
    }
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

}  // namespace

const KernelTable kKernelsNeon = {
    .name = "neon",
    .pack_linear8 = pack_linear_pairs,
    .pack_linear16 = pack_linear_pairs,
    .pack_depthwise = pack_depthwise_scalar,
    .linear8_s32 = linear8_s32<Input8>,
    .linear8_rq8 = linear8_rq8<Input8>,
    .linear8_rq16 = linear8_rq16<Input8>,
    .linear16_rq16 = linear16_rq16_neon,
    .dwconv5_rq8 = dwconv5_rq8_neon,
    .requant8 = requant8_neon,
    .peak = nullptr,
};

}  // namespace bsq
