// Second stage of the motion search: final vectors and partitions of a block's windows.
#pragma once

#include <cstdint>
#include <vector>

#include "motion/motion_field.h"
#include "motion/search_cells.h"
#include "motion/search_coarse.h"
#include "motion/search_kernels.h"
#include "motion/search_phases.h"
#include "motion/search_picture.h"
#include "motion/search_prices.h"

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
  std::vector<uint8_t>& differs;  // per cell: whether its vector is not its predictor
};

// Chooses the vectors of windows, each of which must come after its left, above and above right
// neighbours in the block. One per thread.
class WindowRefiner {
 public:
  explicit WindowRefiner(const RefineTask& task)
      : task_(task), cells_(task.pair.current, task.phases, task.kernels) {}

  void refine(const WindowRect& block, const MotionPrices& prices, int wx, int wy) noexcept;

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
  int price(int bits) const {
    return static_cast<int>(int64_t{task_.lambda} * bits / MotionPrices::kOneBit);
  }
  int cost(const Place& p, Mv v);
  void attempt(const Place& p, Mv v, Found* best);
  void attempt_whole(const Place& p, Shift v, Found* best);
  void descend(const Place& p, int step, int rounds, Found* best);
  Found search(const Place& p, Mv parent, const Shift& coarse);
  void keep(const Place& p, Mv v);
  int settle_part(const Place& p, const Found& found);
  int search_quarters(const MotionSquare& square, Mv parent, int limit);
  Mv look_ahead(const Place& p, int wx, int wy);
  template <class Fn>
  size_t count_near(const MotionSquare& square, const Fn& fn) const;

  const RefineTask& task_;
  CellCosts cells_;
  WindowRect block_;
  const MotionPrices* prices_ = nullptr;
};

}  // namespace bsq
