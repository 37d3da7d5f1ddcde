// SATD of 8x8 sub-blocks.
#include "motion/search_subblocks.h"

#include "motion/search_pixel.h"

namespace bsq {

int SubblockCosts::of(const MotionSquare& square, Mv v) {
  return tried_.of(square, v, [&](int x, int y, int count, uint16_t* costs) {
    const uint8_t* at = current_.at(0, x, y);
    const uint8_t* from = reference_.at(x, y, v);
    if (count == 2) {
      kernels_.satd_pair(at, current_.stride(0), from, reference_.stride(), costs);
    } else {
      *costs = static_cast<uint16_t>(satd_8x8(at, current_.stride(0), from, reference_.stride()));
    }
  });
}

int SubblockPairCosts::of(const MotionSquare& square, const MvPair& v) {
  return tried_.of(square, v, [&](int x, int y, int count, uint16_t* costs) {
    const uint8_t* at = current_.at(0, x, y);
    const uint8_t* first = first_.at(x, y, v.first);
    const uint8_t* second = second_.at(x, y, v.second);
    const ptrdiff_t stride = first_.stride();  // of both
    if (count == 2) {
      kernels_.satd_pair_mean(at, current_.stride(0), first, second, stride, costs);
    } else {
      *costs = static_cast<uint16_t>(satd_8x8_mean(at, current_.stride(0), first, second, stride));
    }
  });
}

}  // namespace bsq
