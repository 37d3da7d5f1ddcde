// First stage of the motion search: whole-sample displacements found in the small pictures.
#pragma once

#include "motion/search_kernels.h"
#include "motion/search_picture.h"

namespace bsq {

// In full-size samples: for a window, and for its four parts (absent parts: zero).
struct CoarseShifts {
  Shift window;
  Shift part[4];
};

class CoarseSearch {
 public:
  // Exhaustive over `range` luma samples each way; lambda is scaled by kCostOne.
  CoarseSearch(const SearchPair& pair, int range, int lambda, const SearchKernels& kernels)
      : pair_(pair), range_(range), lambda_(lambda), kernels_(kernels) {}

  // Searches the window whose first sample is (x, y). Windows are independent of each other.
  CoarseShifts search_window(int x, int y) const;

 private:
  CoarseShifts search_quarter(const SearchArea& window) const;
  Shift refine_half(const SearchArea& a, Shift first, Shift second) const;

  SearchPair pair_;
  int range_;
  int lambda_;
  const SearchKernels& kernels_;
};

}  // namespace bsq
