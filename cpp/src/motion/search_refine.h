// Fine motion search: final vectors and partitions of a tile's superblocks.
#pragma once

#include <cstdint>
#include <vector>

#include "motion/motion_field.h"
#include "motion/search_coarse.h"
#include "motion/search_frame.h"
#include "motion/search_kernels.h"
#include "motion/search_phases.h"
#include "motion/search_rates.h"
#include "motion/search_subblocks.h"

namespace bsq {

// What refiners read and write, alike for all threads.
struct RefineTask {
  SearchPair pair;
  const PhasePlanes& phases;
  const SearchKernels& kernels;
  int lambda;  // scaled by kCostOne
  const std::vector<CoarseShifts>& coarse;
  const MotionField* previous;  // or null
  MotionField& field;
  std::vector<uint8_t>& differs;  // per sub-block: whether its vector is not its predictor
};

// Chooses the vectors of superblocks, each of which must come after its left, above and above right
// neighbours in the tile. One per thread.
class SuperblockRefiner {
 public:
  explicit SuperblockRefiner(const RefineTask& task)
      : task_(task), subblocks_(task.pair.current, task.phases, task.kernels) {}

  void refine(const SuperblockRect& tile, const MotionRates& rates, int sx, int sy) noexcept;

 private:
  struct Found {
    Mv mv;
    int cost;  // scaled by kCostOne
  };
  // What is known of a square before its vector is.
  struct Place {
    MotionSquare square;
    ShiftLimits limits;
    MotionNeighbours neighbours;
    Mv predictor;
    size_t near;  // of the left and above neighbours, those that differ from their predictor
  };

  Place place(const MotionSquare& square) const;
  int rate_cost(int bits) const {
    return static_cast<int>(int64_t{task_.lambda} * bits / MotionRates::kOneBit);
  }
  int cost(const Place& p, Mv v);
  void attempt(const Place& p, Mv v, Found* best);
  void attempt_whole(const Place& p, Shift v, Found* best);
  void descend(const Place& p, int step, int rounds, Found* best);
  Found search(const Place& p, Mv parent, const Shift& coarse);
  void keep(const Place& p, Mv v);
  int decide_block(const Place& p, const Found& found);
  int search_quarters(const MotionSquare& square, Mv parent, int limit);
  Mv next_superblock(const Place& p, int sx, int sy);
  template <class Fn>
  size_t count_near(const MotionSquare& square, const Fn& fn) const;

  const RefineTask& task_;
  SubblockCosts subblocks_;
  SuperblockRect tile_;
  const MotionRates* rates_ = nullptr;
};

}  // namespace bsq
