// Hadamard differences of a superblock's 8x8 sub-blocks under vectors, each computed once.
#pragma once

#include <array>
#include <cstdint>

#include "motion/motion_field.h"
#include "motion/search_cost.h"
#include "motion/search_frame.h"
#include "motion/search_kernels.h"
#include "motion/search_phases.h"

namespace bsq {

class SubblockCosts {
 public:
  SubblockCosts(const SearchFrame& current, const PhasePlanes& reference,
                const SearchKernels& kernels)
      : current_(current), reference_(reference), kernels_(kernels) {}

  // Forgets everything and turns to the superblock whose first sample is (x, y).
  void begin(int x, int y);
  // The difference of a square inside the superblock, cut off at the frame's border, under a vector
  // within its limits.
  int of(const MotionSquare& square, Mv v);

  // fn(Mv, int difference) for all vectors whose difference is known for the whole square.
  template <class Fn>
  void for_known(const MotionSquare& square, const Fn& fn) const {
    const unsigned wanted = subblocks_of(square);
    for (int i = 0; i < used_; ++i) {
      const Tried& t = tried_[static_cast<size_t>(i)];
      if ((t.known & wanted) == wanted) fn(t.mv, sum(t, wanted));
    }
  }

 private:
  static constexpr int kSubblocks = kSuperblockSubblocks * kSuperblockSubblocks;
  static constexpr int kSlots = 2048;  // a power of two

  struct Tried {
    Mv mv;
    unsigned known;  // a bit per sub-block
    std::array<uint16_t, kSubblocks> cost;
  };

  static int sum(const Tried& t, unsigned subblocks);
  unsigned subblocks_of(const MotionSquare& square) const;
  Tried& find(Mv v);

  const SearchFrame& current_;
  const PhasePlanes& reference_;
  const SearchKernels& kernels_;
  int x_ = 0;
  int y_ = 0;
  int used_ = 0;
  uint32_t epoch_ = 0;
  std::array<Tried, kMaxTried + 1> tried_;  // the last one is for vectors beyond the limit
  struct Slot {
    uint32_t epoch = 0;
    uint32_t index = 0;
  };
  std::array<Slot, kSlots> slots_{};
};

}  // namespace bsq
