// The search for the motion of one square of a B frame: direction, vectors, merge candidates.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <vector>

#include "motion/b_motion.h"
#include "motion/motion_field.h"
#include "motion/search_b_rates.h"
#include "motion/search_coarse.h"
#include "motion/search_frame.h"
#include "motion/search_kernels.h"
#include "motion/search_reference.h"
#include "motion/search_subblocks.h"

namespace bsq {

// What searches of squares read and write, alike for all threads.
struct BSearchTask {
  const SearchFrame& current;
  std::array<const SearchReference*, 2> references;
  const SearchKernels& kernels;
  int lambda;       // scaled by kCostOne
  int pair_rounds;  // of the refinement of both vectors
  const std::array<std::vector<CoarseShifts>, 2>& coarse;
  const TemporalMotion& temporal;
  const ReferenceDistances& distances;
  MotionField& field;
  std::vector<uint8_t>& marks;  // per sub-block: kMarkFirstDiffers..

  SearchPair pair(size_t reference) const { return {current, references[reference]->frame()}; }
  const CoarseShifts& coarse_at(size_t reference, int sx, int sy) const {
    return coarse[reference][static_cast<size_t>(sy * field.superblocks_x + sx)];
  }
};

// What is known of a square before its motion is.
struct BSearchPlace : BPlace {
  ShiftLimits limits{};
};

// One per thread.
class BSquareSearch {
 public:
  static constexpr int kNone = std::numeric_limits<int>::max();  // the cost of no motion at all

  struct Found {
    BlockMotion motion;
    int cost = kNone;  // scaled by kCostOne
  };
  using Shifts = std::array<Shift, 2>;  // by reference

  explicit BSquareSearch(const BSearchTask& task);

  // Turns to a superblock of a tile.
  void begin(const SuperblockRect& tile, const BMotionRates& rates, int sx, int sy);
  BSearchPlace place(const MotionSquare& square) const;
  // The motion of lowest cost, without flags of partition. `parent`: motion that is likely;
  // `coarse`: displacements that are.
  Found search(const BSearchPlace& place, const BlockMotion& parent, const Shifts& coarse);
  // Gives the square its motion.
  void keep(const BSearchPlace& place, const BlockMotion& motion);

  int rate_cost(int bits) const {
    return static_cast<int>(int64_t{task_.lambda} * bits / BMotionRates::kOneBit);
  }

 private:
  // A vector into one reference.
  struct FoundVector {
    Mv mv;
    int cost = kNone;  // without direction
  };
  using FoundVectors = std::array<FoundVector, 2>;

  int difference(const BSearchPlace& p, const BlockMotion& motion);
  int vector_cost(const BSearchPlace& p, size_t reference, Mv v, int difference) const;
  void try_candidates(const BSearchPlace& p, Found* best);
  void try_vector(const BSearchPlace& p, size_t reference, Mv v, FoundVector* best);
  void descend(const BSearchPlace& p, size_t reference, int step, int rounds, FoundVector* best);
  FoundVector search_reference(const BSearchPlace& p, size_t reference, Mv parent, Shift coarse);
  void try_pair(const BSearchPlace& p, Mv first, Mv second, Found* best);
  void refine_pair(const BSearchPlace& p, Found* best);
  Found search_pair(const BSearchPlace& p, const BlockMotion& parent, const FoundVectors& found,
                    const Found& so_far);

  const BSearchTask& task_;
  std::array<SubblockCosts, 2> single_;  // by reference
  SubblockPairCosts pairs_;
  SuperblockRect tile_;
  const BMotionRates* rates_ = nullptr;
};

}  // namespace bsq
