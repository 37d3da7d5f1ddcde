// What the motion search keeps of a reference frame.
#pragma once

#include "base/plane.h"
#include "base/thread_pool.h"
#include "motion/search_frame.h"
#include "motion/search_kernels.h"
#include "motion/search_phases.h"

namespace bsq {

// Filled once for all searches in the frame, since filtering its phases takes long.
class SearchReference {
 public:
  // Luma sides are multiples of 8. Memory stays from one frame to the next of its size.
  void fill(const ConstPlaneView& luma, int bit_depth, const SearchKernels& kernels,
            ThreadPool& pool);
  void fill(const Frame& frame, const SearchKernels& kernels, ThreadPool& pool) {
    fill(frame.planes[0].view(), frame.bit_depth, kernels, pool);
  }

  const SearchFrame& frame() const { return frame_; }
  const PhasePlanes& phases() const { return phases_; }

 private:
  SearchFrame frame_;
  PhasePlanes phases_;
};

}  // namespace bsq
