// What the motion search looks at: 8-bit luma in three sizes, blocks of it and displacements.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/plane.h"
#include "motion/search_cost.h"

namespace bsq {

// The luma of one frame in 8 bits, in three sizes, with replicated edges. A frame that served as
// the current one may serve as reference later, so keep it instead of building it twice.
class SearchFrame {
 public:
  static constexpr int kLevels = kSearchLevels;  // full, half and quarter size
  static constexpr int kPad = kSearchPad;        // samples around every level

  SearchFrame() = default;
  SearchFrame(const ConstPlaneView& luma, int bit_depth) { fill(luma, bit_depth); }
  // Luma sides are multiples of 8. Deeper samples are reduced to 8 bits. Memory stays from one
  // frame to the next of its size.
  void fill(const ConstPlaneView& luma, int bit_depth);

  int width(int level) const { return levels_[level].width; }
  int height(int level) const { return levels_[level].height; }
  ptrdiff_t stride(int level) const { return levels_[level].stride; }
  // Readable from -kPad to the size + kPad - 1 on both axes.
  const uint8_t* at(int level, int x, int y) const {
    return levels_[level].origin() + y * levels_[level].stride + x;
  }

 private:
  struct Level {
    int width = 0;
    int height = 0;
    ptrdiff_t stride = 0;
    std::vector<uint8_t> samples;

    void allocate(int w, int h);
    void replicate_edges();
    uint8_t* origin() { return samples.data() + kPad * stride + kPad; }
    const uint8_t* origin() const { return samples.data() + kPad * stride + kPad; }
  };
  Level levels_[kLevels];
};

// A displacement in whole samples of some level.
struct Shift {
  int x = 0;
  int y = 0;
  friend bool operator==(const Shift&, const Shift&) = default;
};

// A block of the luma plane, in full-size samples; it may be narrowed to a level.
struct SearchArea {
  int x = 0;
  int y = 0;
  int width = 0;
  int height = 0;
};

// Displacements for which a block, its margin for the filters included, stays within the
// replicated edges and vectors stay in range.
struct ShiftLimits {
  int x_min, x_max, y_min, y_max;

  Shift clamp(Shift v) const;
  bool contains(Shift v) const { return clamp(v) == v; }
};

// Two frames of one size.
struct SearchPair {
  const SearchFrame& current;
  const SearchFrame& reference;

  // The square of `size` luma samples a side at (x, y), clipped to the frame.
  SearchArea area(int x, int y, int size) const;
  ShiftLimits limits(const SearchArea& a, int level) const;
  // Sum of absolute differences at a level.
  int sad(int level, const SearchArea& a, Shift v) const;
  // No 8x8 block of the area differs noticeably from the same place of the reference.
  bool is_static(const SearchArea& a) const;
};

}  // namespace bsq
