// Second stage of the motion search: final vectors and partitions of a block's windows.
#pragma once

#include <vector>

#include "motion/motion_field.h"
#include "motion/search_coarse.h"
#include "motion/search_picture.h"
#include "motion/search_subpixel.h"

namespace bsq {

// Works through the windows of one block in coding order, because each vector is chosen knowing
// the vectors it is predicted from. Refiners of different blocks may run at the same time.
class BlockRefiner {
 public:
  // `coarse` holds the first stage of all windows of the frame, `previous` is null or a field of
  // the same size; `lambda` is scaled by kCostOne. Writes the windows of `block` into `field`.
  BlockRefiner(const SearchPair& pair, int lambda, const std::vector<CoarseShifts>& coarse,
               const MotionField* previous, const WindowRect& block, MotionField& field)
      : pair_(pair),
        lambda_(lambda),
        coarse_(coarse),
        previous_(previous),
        block_(block),
        field_(field),
        fraction_(pair) {}

  void run();

 private:
  void refine_window(int wx, int wy);
  void add_candidate(const ShiftLimits& lim, Shift v);
  void collect_candidates(const ShiftLimits& lim, int px, int py, int size, Mv predictor);
  Shift search_whole(const SearchArea& a, const ShiftLimits& lim, Mv predictor) const;
  SubPixelSearch::Found search_block(const SearchArea& a, const ShiftLimits& lim, Mv predictor,
                                     Shift start);
  bool splitting_may_pay(const SearchArea& window, Shift start, const CoarseShifts& coarse) const;
  bool search_parts(int wx, int wy, Shift start, const CoarseShifts& coarse, int cost_limit);

  SearchPair pair_;
  int lambda_;
  const std::vector<CoarseShifts>& coarse_;
  const MotionField* previous_;
  WindowRect block_;
  MotionField& field_;
  SubPixelSearch fraction_;
  std::vector<Shift> candidates_;  // of the area under search
};

}  // namespace bsq
