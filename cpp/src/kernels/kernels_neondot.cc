// Kernels for 64-bit Arm processors with the dot product instructions of Armv8.2 (FEAT_DotProd):
// linear layers of 8-bit input, and the set's table. Compiled with flags of its own: nothing but
// neon.h may be included here.
#include "kernels/neon.h"

namespace bsq {
namespace {

// Four products of bytes go into a 32-bit sum at once.
struct Input8 {
  const int8_t* x;
  ptrdiff_t stride;

  template <int kR, int kQ>
  BSQ_INLINE void accumulate(const LinearView& layer, int n, int t,
                             int32x4_t (&sums)[kR][kQ]) const {
    const int8_t* w = layer.w + static_cast<ptrdiff_t>(n) * layer.k;
    const ptrdiff_t panel = static_cast<ptrdiff_t>(kPanel) * layer.k;
    for (int k = 0; k < layer.k; k += 8, w += 8 * kPanel) {
      int8x8_t values[kR];
#pragma GCC unroll 4
      for (int r = 0; r < kR; ++r) values[r] = vld1_s8(x + (t + r) * stride + k);
      four<0>(values, w, panel, sums);
      four<1>(values, w + 4 * kPanel, panel, sums);
    }
  }

 private:
  // Four inputs: the first or the second half of the eight in `values`.
  template <int kHalf, int kR, int kQ>
  BSQ_INLINE static void four(const int8x8_t (&values)[kR], const int8_t* w, ptrdiff_t panel,
                              int32x4_t (&sums)[kR][kQ]) {
#pragma GCC unroll 4
    for (int q = 0; q < kQ; ++q) {
      const int8x16_t weights = vld1q_s8(w + q / 2 * panel + q % 2 * 16);
#pragma GCC unroll 4
      for (int r = 0; r < kR; ++r) {
        sums[r][q] = vdotq_lane_s32(sums[r][q], weights, values[r], kHalf);
      }
    }
  }
};

}  // namespace

const KernelTable kKernelsNeonDot = {
    .name = "neondot",
    .pack_linear8 = pack_linear_quads,
    .pack_linear16 = pack_linear_pairs,
    .pack_depthwise = pack_depthwise_scalar,
    .linear8_s32 = linear8_s32<Input8>,
    .linear8_rq8 = linear8_rq8<Input8>,
    .linear8_rq16 = linear8_rq16<Input8>,
    .linear16_rq16 = linear16_rq16_neon,
    .dwconv5_rq8 = dwconv5_rq8_neon,
    .requant8 = requant8_neon,
};

}  // namespace bsq
