// Second half of the motion search: half and quarter samples by Hadamard difference.
#pragma once

#include <cstdint>

#include "motion/motion_field.h"
#include "motion/search_picture.h"

namespace bsq {

// Scratch space and steps for one block at a time.
class SubPixelSearch {
 public:
  struct Block {
    SearchArea area;
    Mv predictor;
    int lambda;  // scaled by kCostOne
  };
  struct Found {
    Mv mv;
    int cost;  // scaled by kCostOne
  };

  explicit SubPixelSearch(const SearchPair& pair)
      : current_(pair.current), reference_(pair.reference) {}

  // Best vector around the whole-sample displacement.
  Found search(const Block& block, Shift start);
  // The cost of one vector in quarter samples.
  int cost_at(const Block& block, Mv v);

 private:
  static constexpr int kStride = 48;
  static constexpr int kRows = kMotionWindowSize + 1;

  int cost_of(const Block& block, const uint8_t* prediction, ptrdiff_t stride, Mv v) const;
  void search_half(const Block& block, Found* best);
  void search_quarter(const Block& block, Found* best);
  void filter_phase(const Block& block, Mv centre, int dx);
  int quarter_cost(const Block& block, Mv centre, int dx, int dy);

  const SearchPicture& current_;
  const SearchPicture& reference_;
  alignas(64) int16_t sums_[3][(kRows + 8) * kStride];
  bool filtered_[3] = {};
  alignas(64) uint8_t across_[kRows * kStride];    // half a sample right
  alignas(64) uint8_t down_[kRows * kStride];      // half a sample down
  alignas(64) uint8_t diagonal_[kRows * kStride];  // both
};

}  // namespace bsq
