// The adaptive models of motion symbols (docs/bitstream.md section 4).
#pragma once

#include <array>

#include "entropy/adaptive_bit.h"

namespace bsq {

struct MotionModels {
  std::array<AdaptiveBit, 3> split;       // of windows
  std::array<AdaptiveBit, 3> cell_split;  // of parts
  // "Difference is zero", by the size of the square and then by neighbours.
  std::array<std::array<AdaptiveBit, 3>, 3> same;
  SignedModels difference_x;
  SignedModels difference_y;
};

}  // namespace bsq
