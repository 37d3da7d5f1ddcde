// What a motion search is asked for.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "motion/search_cost.h"
#include "motion/search_frame.h"
#include "motion/search_kernels.h"

namespace bsq {

struct MotionSearchConfig {
  double lambda = 4.0;  // in absolute difference of 8-bit luma per bit
  int range = 64;       // luma samples each way that the coarse search covers, 4 .. 512
  const SearchKernels* kernels = &kSearchBase;
  // Displacements that the coarse search tries besides its own, by reference.
  std::array<std::vector<Shift>, 2> shifts;
  int pair_rounds = 2;  // of the refinement of both vectors of a square of a B frame

  // As the search takes them: lambda scaled by kCostOne.
  int scaled_lambda() const {
    return static_cast<int>(std::lround(std::clamp(lambda, 0.0, 4096.0) * kCostOne));
  }
  int allowed_range() const { return std::clamp(range, 4, kMaxSearchRange); }
};

}  // namespace bsq
