// Displacements at which large parts of a frame are found again sample by sample, as where a page
// scrolls or a window moves: what a search in small frames misses in text. Not normative.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/plane.h"
#include "base/thread_pool.h"
#include "motion/search_frame.h"

namespace bsq {

// Hashes of the blocks of 32x16 samples of a frame's luma, at every place: a line of text is as
// high, and two of one text seldom alike.
class MatchFrame {
 public:
  static constexpr int kWidth = 32;
  static constexpr int kHeight = 16;

  // Memory stays from one frame to the next of its size.
  void fill(const ConstPlaneView& luma, ThreadPool& pool);
  void clear() { width_ = height_ = 0; }
  bool empty() const { return width_ == 0; }

  // Places: of the first samples of blocks that lie in the frame.
  int width() const { return width_; }
  int height() const { return height_; }
  std::span<const uint32_t> row(int y) const {
    return std::span(hashes_).subspan(static_cast<size_t>(y) * static_cast<size_t>(width_),
                                      static_cast<size_t>(width_));
  }

 private:
  int width_ = 0;
  int height_ = 0;
  std::vector<uint32_t> hashes_;
};

// The displacements from `current` to `reference`, two frames of one size, of the most blocks of
// `current` (at multiples of 8 samples) that are found there; blocks that are in many places count
// for none. At most eight, those of most blocks first, none of them zero.
std::vector<Shift> find_shifts(const MatchFrame& current, const MatchFrame& reference);

}  // namespace bsq
