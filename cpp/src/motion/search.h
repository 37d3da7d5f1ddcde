// Motion search of the encoder: finds the field that motion compensation is given. Not normative.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "motion/motion_field.h"
#include "motion/search_cost.h"
#include "motion/search_kernels.h"
#include "motion/search_phases.h"
#include "motion/search_picture.h"
#include "motion/search_prices.h"

namespace bsq {

struct MotionSearchConfig {
  double lambda = 4.0;  // price of a bit in units of absolute difference of 8-bit luma
  int range = 64;       // luma samples each way that the coarse search covers, 4 .. 512
  const SearchKernels* kernels = &kSearchBase;

  // As the stages take them: lambda scaled by kCostOne.
  int scaled_lambda() const {
    return static_cast<int>(std::lround(std::clamp(lambda, 0.0, 4096.0) * kCostOne));
  }
  int allowed_range() const { return std::clamp(range, 4, kMaxSearchRange); }
};

// A block in which vectors are predicted, and what its symbols cost.
struct MotionSearchBlock {
  WindowRect windows;
  MotionPrices prices;
};

// Searches frames of one size; keeps its memory from frame to frame.
class MotionSearch {
 public:
  // The field from `reference` to `current`, two pictures of one size. `previous`, if not null, is
  // the field of the frame before: its vectors are tried too, unless its size differs. The blocks
  // tile the frame. The result does not depend on the threads of the pool.
  MotionField run(const SearchPicture& current, const SearchPicture& reference,
                  const MotionSearchConfig& config, const MotionField* previous,
                  std::span<const MotionSearchBlock> blocks, ThreadPool& pool);

  // Two pictures that callers may fill and hand to run(), kept from frame to frame too.
  std::array<SearchPicture, 2>& pictures() { return pictures_; }

 private:
  std::array<SearchPicture, 2> pictures_;
  PhasePlanes phases_;
};

}  // namespace bsq
