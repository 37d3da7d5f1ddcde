// Rates of motion symbols, in tables that are fixed for a frame, so that decisions do not depend on
// threads.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdlib>

#include "motion/motion_field.h"

namespace bsq {

// Of vectors into one reference.
struct VectorRates {
  static constexpr int kOneBit = 256;  // rates count 256ths of a bit

  using Flag = std::array<int, 2>;        // of a 0 and of a 1
  using Component = std::array<int, 16>;  // by the number of binary digits of |d|

  std::array<std::array<Flag, 3>, 3> same;  // "difference is zero", by size_class() and neighbours
  Component x;
  Component y;

  // Those of fresh contexts: a bit for a flag, Elias gamma codes for differences.
  VectorRates() {
    for (auto& by_near : same) by_near.fill(Flag{kOneBit, kOneBit});
    for (size_t i = 0; i < x.size(); ++i) x[i] = kOneBit * (1 + 2 * static_cast<int>(i));
    y = x;
  }

  // Of a vector that differs from its predictor by (dx, dy).
  int vector(size_t size, size_t near, int dx, int dy) const {
    const Flag& flag = same[size][near];
    if (dx == 0 && dy == 0) return flag[1];
    return flag[0] + x[digits(dx)] + y[digits(dy)];
  }

 private:
  static size_t digits(int d) {
    return static_cast<size_t>(std::bit_width(static_cast<unsigned>(std::abs(d))));
  }
};

// Of the motion of P frames.
struct MotionRates : VectorRates {
  bool fine = false;                   // blocks may be split into sub-blocks
  std::array<Flag, 3> split;           // of superblocks, by the number of split neighbours
  std::array<Flag, 3> subblock_split;  // of blocks, likewise; 0 unless `fine`

  // Those of fresh contexts.
  explicit MotionRates(bool fine_motion) : fine(fine_motion) {
    const Flag flag{kOneBit, kOneBit};
    split.fill(flag);
    subblock_split.fill(fine ? flag : Flag{});
  }
};

}  // namespace bsq
