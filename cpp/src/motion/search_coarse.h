// Coarse motion search: whole-sample displacements found in the small frames.
#pragma once

#include <span>

#include "motion/search_frame.h"
#include "motion/search_kernels.h"

namespace bsq {

// In full-size samples: for a superblock, and for its four blocks (absent blocks: zero).
struct CoarseShifts {
  Shift superblock;
  Shift block[4];
};

class CoarseSearch {
 public:
  // Exhaustive over `range` luma samples each way, and `shifts` besides; lambda is scaled by
  // kCostOne.
  CoarseSearch(const SearchPair& pair, int range, int lambda, std::span<const Shift> shifts,
               const SearchKernels& kernels)
      : pair_(pair), range_(range), lambda_(lambda), shifts_(shifts), kernels_(kernels) {}

  // Searches the superblock whose first sample is (x, y). Superblocks are independent of each
  // other.
  CoarseShifts search_superblock(int x, int y) const;

 private:
  CoarseShifts search_quarter(const SearchArea& superblock) const;
  Shift least(const SearchArea& a, Shift found) const;
  Shift refine_half(const SearchArea& a, Shift first, Shift second) const;

  SearchPair pair_;
  int range_;
  int lambda_;
  std::span<const Shift> shifts_;
  const SearchKernels& kernels_;
};

}  // namespace bsq
