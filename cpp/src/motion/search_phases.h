// The reference of the motion search at all sixteen quarter-sample phases, filtered once a frame.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "motion/motion_field.h"
#include "motion/search_cost.h"
#include "motion/search_frame.h"
#include "motion/search_kernels.h"

namespace bsq {

// 8-bit luma as motion compensation would give it, for every vector that ShiftLimits allows.
class PhasePlanes {
 public:
  // Rows [-kReach, height + kReach) may be filled, in any order and at the same time.
  static constexpr int kReach = kPhaseReach;  // samples around the frame

  // Takes memory for a frame of this size; keeps what it has if that fits.
  void allocate(int width, int height);
  int row_count() const { return height_ + 2 * kReach; }
  // Filters rows [begin, end) of row_count(), counted from 0.
  void fill_rows(const SearchFrame& reference, const SearchKernels& kernels, int begin, int end);

  ptrdiff_t stride() const { return stride_; }
  // The prediction of the sample (x, y) with the vector v, and to its right and below its
  // neighbours'.
  const uint8_t* at(int x, int y, Mv v) const {
    const size_t phase = static_cast<size_t>((v.y & 3) * 4 + (v.x & 3));
    return samples_.data() + phase * plane_ + (y + (v.y >> 2) + kReach) * stride_ + x + (v.x >> 2) +
           kReach;
  }

 private:
  int width_ = 0;
  int height_ = 0;
  ptrdiff_t stride_ = 0;
  size_t plane_ = 0;  // samples
  std::vector<uint8_t> samples_;
};

}  // namespace bsq
