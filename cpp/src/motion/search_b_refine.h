// The partition of the superblocks of a B frame, and with it their motion.
#pragma once

#include "motion/search_b_square.h"

namespace bsq {

// Chooses the motion of superblocks, each of which must come after its left, above and above right
// neighbours in the tile. One per thread.
class BSuperblockRefiner {
 public:
  explicit BSuperblockRefiner(const BSearchTask& task) : task_(task), squares_(task) {}

  void refine(const SuperblockRect& tile, const BMotionRates& rates, int sx, int sy) noexcept;

 private:
  using Found = BSquareSearch::Found;

  bool is_static(const BSearchPlace& superblock) const;
  BlockMotion next_superblock(const BSearchPlace& p, int sx, int sy) const;
  int search_quarters(const MotionSquare& square, const BlockMotion& parent, int limit);
  int decide_block(const BSearchPlace& p, const Found& found);
  template <class Fn>
  size_t count_near(const MotionSquare& square, const Fn& fn) const;

  const BSearchTask& task_;
  BSquareSearch squares_;
  SuperblockRect tile_;
  const BMotionRates* rates_ = nullptr;
};

}  // namespace bsq
