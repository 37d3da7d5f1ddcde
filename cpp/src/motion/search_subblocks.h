// Hadamard differences of sub-blocks under a vector, and under a vector into each of two
// references.
#pragma once

#include <cstdint>

#include "motion/motion_field.h"
#include "motion/search_cost.h"
#include "motion/search_frame.h"
#include "motion/search_kernels.h"
#include "motion/search_phases.h"
#include "motion/search_tried.h"

namespace bsq {

class SubblockCosts {
 public:
  SubblockCosts(const SearchFrame& current, const PhasePlanes& reference,
                const SearchKernels& kernels)
      : current_(current),
        reference_(reference),
        kernels_(kernels),
        tried_(current.width(0), current.height(0)) {}

  // Forgets everything and turns to the superblock whose first sample is (x, y).
  void begin(int x, int y) { tried_.begin(x, y); }
  // The difference of a square inside the superblock, cut off at the frame's border, under a vector
  // within its limits.
  int of(const MotionSquare& square, Mv v);
  // fn(Mv, int difference) for all vectors whose difference is known for the whole square.
  template <class Fn>
  void for_known(const MotionSquare& square, const Fn& fn) const {
    tried_.for_known(square, fn);
  }

 private:
  const SearchFrame& current_;
  const PhasePlanes& reference_;
  const SearchKernels& kernels_;
  TriedDifferences<Mv, kMaxTried> tried_;
};

// A vector into each reference.
struct MvPair {
  Mv first;
  Mv second;

  friend bool operator==(const MvPair&, const MvPair&) = default;
};

inline uint32_t motion_hash(const MvPair& v) {
  return motion_hash(v.first) + motion_hash(v.second) * 0xC2B2AE35U;
}

// The same of the mean of two predictions.
class SubblockPairCosts {
 public:
  SubblockPairCosts(const SearchFrame& current, const PhasePlanes& first, const PhasePlanes& second,
                    const SearchKernels& kernels)
      : current_(current),
        first_(first),
        second_(second),
        kernels_(kernels),
        tried_(current.width(0), current.height(0)) {}

  void begin(int x, int y) { tried_.begin(x, y); }
  int of(const MotionSquare& square, const MvPair& v);

 private:
  static constexpr int kMaxPairs = 1024;  // of a superblock whose differences are remembered

  const SearchFrame& current_;
  const PhasePlanes& first_;
  const PhasePlanes& second_;
  const SearchKernels& kernels_;
  TriedDifferences<MvPair, kMaxPairs> tried_;
};

}  // namespace bsq
