// The contexts of motion symbols (docs/bitstream.md section 4).
#pragma once

#include <array>

#include "entropy/adaptive_bit.h"

namespace bsq {

struct MotionContexts {
  std::array<AdaptiveBit, 3> split;           // of superblocks
  std::array<AdaptiveBit, 3> subblock_split;  // of blocks
  // "Difference is zero", by the size of the square and then by neighbours.
  std::array<std::array<AdaptiveBit, 3>, 3> same;
  SignedContexts difference_x;
  SignedContexts difference_y;
};

}  // namespace bsq
