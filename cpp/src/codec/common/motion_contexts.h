// The contexts of motion symbols (docs/bitstream.md sections 4 and 4.6).
#pragma once

#include <array>

#include "entropy/adaptive_bit.h"
#include "motion/b_motion.h"

namespace bsq {

// Of vectors into one reference.
struct VectorContexts {
  // "Difference is zero", by the size of the square and then by neighbours.
  std::array<std::array<AdaptiveBit, 3>, 3> same;
  SignedContexts difference_x;
  SignedContexts difference_y;
};

struct SplitContexts {
  std::array<AdaptiveBit, 3> superblock;
  std::array<AdaptiveBit, 3> block;
};

struct PMotionContexts {
  SplitContexts split;
  VectorContexts vector;
};

struct BMotionContexts {
  SplitContexts split;
  std::array<std::array<AdaptiveBit, 3>, 3> merged;  // as `same`
  std::array<AdaptiveBit, BPlace::kMaxCandidates - 1> candidate;
  std::array<std::array<AdaptiveBit, 3>, 3> both;
  std::array<AdaptiveBit, 3> second;
  std::array<VectorContexts, 2> vector;  // by reference
};

struct MotionContexts {
  PMotionContexts p;
  BMotionContexts b;
};

}  // namespace bsq
