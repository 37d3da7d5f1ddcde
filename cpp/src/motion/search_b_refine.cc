// Superblocks, blocks or sub-blocks: the choice of partition of B frames.
#include "motion/search_b_refine.h"

#include "motion/search_cost.h"

namespace bsq {

template <class Fn>
size_t BSuperblockRefiner::count_near(const MotionSquare& s, const Fn& fn) const {
  const bool left = s.x > kSuperblockSubblocks * tile_.x_begin && fn(s.x - 1, s.y);
  const bool above = s.y > kSuperblockSubblocks * tile_.y_begin && fn(s.x, s.y - 1);
  return size_t{left} + size_t{above};
}

// Equal to the same place of both references, where the cheapest motion says so.
bool BSuperblockRefiner::is_static(const BSearchPlace& p) const {
  if (!p.candidates[0].same_as({kBothReferences, {}})) return false;
  for (size_t i = 0; i < 2; ++i) {
    const SearchPair pair = task_.pair(i);
    const SearchArea area =
        pair.area(p.square.x * kSubblockSize, p.square.y * kSubblockSize, kSuperblockSize);
    if (!pair.is_static(area)) return false;
  }
  return true;
}

// The displacements of the superblock that comes next: the field should be smooth there too.
BlockMotion BSuperblockRefiner::next_superblock(const BSearchPlace& p, int sx, int sy) const {
  BlockMotion next;
  if (sx + 1 == task_.field.superblocks_x) return next;
  for (size_t i = 0; i < 2; ++i) {
    const Shift v = p.limits.clamp(task_.coarse_at(i, sx + 1, sy).superblock);
    next.mv[i] = {static_cast<int16_t>(4 * v.x), static_cast<int16_t>(4 * v.y)};
  }
  return next;
}

// The lowest cost of a block; it may be split itself.
int BSuperblockRefiner::decide_block(const BSearchPlace& p, const Found& found) {
  const size_t near =
      count_near(p.square, [&](int cx, int cy) { return task_.field.subblock_split_at(cx, cy); });
  const int together = found.cost + squares_.rate_cost(rates_->subblock_split[near][0]);
  const int flag = squares_.rate_cost(rates_->subblock_split[near][1]);
  if (together > flag + squares_.rate_cost(kLeastSplitBits * BMotionRates::kOneBit)) {
    const int apart = flag + search_quarters(p.square, found.motion, together - flag);
    if (apart < together) {
      task_.field.split_block(p.square);
      return apart;
    }
  }
  squares_.keep(p, found.motion);
  return together;
}

// The cost of the quarters of a square, whose motion it leaves in the field; gives up at the limit.
int BSuperblockRefiner::search_quarters(const MotionSquare& square, const BlockMotion& parent,
                                        int limit) {
  const int sx = square.x / kSuperblockSubblocks;
  const int sy = square.y / kSuperblockSubblocks;
  int total = 0;
  task_.field.for_quarters(square, [&](const MotionSquare& quarter, int i) {
    if (total >= limit) return;
    const BSearchPlace p = squares_.place(quarter);
    BSquareSearch::Shifts coarse;
    for (size_t r = 0; r < 2; ++r) {
      coarse[r] = quarter.size == kBlockSubblocks ? task_.coarse_at(r, sx, sy).block[i]
                                                  : Shift{parent.mv[r].x >> 2, parent.mv[r].y >> 2};
    }
    const Found found = squares_.search(p, parent, coarse);
    if (quarter.size == kBlockSubblocks) {
      total += decide_block(p, found);
    } else {
      squares_.keep(p, found.motion);
      total += found.cost;
    }
  });
  return total;
}

void BSuperblockRefiner::refine(const SuperblockRect& tile, const BMotionRates& rates, int sx,
                                int sy) noexcept {
  tile_ = tile;
  rates_ = &rates;
  squares_.begin(tile, rates, sx, sy);
  MotionField& field = task_.field;
  uint8_t& split = field.split_at(sx, sy);
  split = 0;
  const MotionSquare superblock{kSuperblockSubblocks * sx, kSuperblockSubblocks * sy,
                                kSuperblockSubblocks};
  const BSearchPlace p = squares_.place(superblock);
  if (is_static(p)) {
    squares_.keep(p, p.candidates[0]);
    return;
  }
  const BSquareSearch::Shifts coarse{task_.coarse_at(0, sx, sy).superblock,
                                     task_.coarse_at(1, sx, sy).superblock};
  const Found found = squares_.search(p, next_superblock(p, sx, sy), coarse);
  const size_t near = count_near(superblock, [&](int cx, int cy) {
    return field.split_at(cx / kSuperblockSubblocks, cy / kSuperblockSubblocks) != 0;
  });
  const int together = found.cost + squares_.rate_cost(rates.split[near][0]);
  const int flag = squares_.rate_cost(rates.split[near][1]);
  const bool single = field.subblocks_x - superblock.x <= kBlockSubblocks &&
                      field.subblocks_y - superblock.y <= kBlockSubblocks;
  if (!single && together > flag + squares_.rate_cost(kLeastSplitBits * BMotionRates::kOneBit)) {
    split = 1;
    if (flag + search_quarters(superblock, found.motion, together - flag) < together) return;
    split = 0;
  }
  squares_.keep(p, found.motion);
}

}  // namespace bsq
