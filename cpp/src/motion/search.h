// Motion search of the encoder: finds the field that motion compensation is given. Not normative.
#pragma once

#include <vector>

#include "base/thread_pool.h"
#include "motion/motion_field.h"
#include "motion/search_coarse.h"
#include "motion/search_picture.h"

namespace bsq {

struct MotionSearchConfig {
  double lambda = 4.0;  // price of an estimated bit in units of absolute difference of 8-bit luma
  int range = 64;       // luma samples each way that the coarse search covers, 4 .. 512
};

// Searches one frame in another. Construct, run coarse_rows over all rows (in parallel if wanted),
// then refine every block (in parallel if wanted); the result does not depend on the threads.
class MotionSearch {
 public:
  // The pictures have one size and outlive the search. `previous`, if not null, is the field of
  // the frame before: its vectors are tried too, unless its size differs.
  MotionSearch(const SearchPicture& current, const SearchPicture& reference,
               const MotionSearchConfig& config, const MotionField* previous = nullptr);

  // Stage one, window rows [begin, end): whole-sample vectors from the small pictures.
  void coarse_rows(int begin, int end);
  // Stage two: final vectors of the windows of a block, within which vectors are predicted.
  void refine(const WindowRect& block);

  const MotionField& field() const { return field_; }

 private:
  SearchPair pair_;
  int range_;
  int lambda_;  // scaled by kCostOne
  const MotionField* previous_;
  MotionField field_;
  std::vector<CoarseShifts> coarse_;  // per window
};

// Search of a whole frame, whose blocks are given, on the threads of the pool.
MotionField search_motion(const SearchPicture& current, const SearchPicture& reference,
                          const MotionSearchConfig& config, const MotionField* previous,
                          const std::vector<WindowRect>& blocks, ThreadPool& pool);

}  // namespace bsq
