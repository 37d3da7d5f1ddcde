// Candidate vectors, refinement to quarter samples and the choice of partition.
#include "motion/search_refine.h"

#include <algorithm>
#include <limits>

#include "motion/search_cost.h"

namespace bsq {

namespace {

Mv offset(Mv v, int dx, int dy) {
  return {static_cast<int16_t>(v.x + dx), static_cast<int16_t>(v.y + dy)};
}

}  // namespace

template <class Fn>
size_t SuperblockRefiner::count_near(const MotionSquare& s, const Fn& fn) const {
  const bool left = s.x > kSuperblockSubblocks * tile_.x_begin && fn(s.x - 1, s.y);
  const bool above = s.y > kSuperblockSubblocks * tile_.y_begin && fn(s.x, s.y - 1);
  return size_t{left} + size_t{above};
}

SuperblockRefiner::Place SuperblockRefiner::place(const MotionSquare& s) const {
  Place p;
  p.square = s;
  const int size = s.size * kSubblockSize;
  p.limits = task_.pair.limits(task_.pair.area(s.x * kSubblockSize, s.y * kSubblockSize, size), 0);
  p.neighbours = motion_neighbours(task_.field, tile_, s);
  p.predictor = p.neighbours.median();
  p.near = count_near(
      s, [&](int cx, int cy) { return task_.differs[task_.field.subblock_index(cx, cy)] != 0; });
  return p;
}

int SuperblockRefiner::cost(const Place& p, Mv v) {
  return subblocks_.of(p.square, v) * kCostOne +
         rate_cost(rates_->vector(size_class(p.square), p.near, v.x - p.predictor.x,
                                  v.y - p.predictor.y));
}

void SuperblockRefiner::attempt(const Place& p, Mv v, Found* best) {
  if (!p.limits.contains({v.x >> 2, v.y >> 2})) return;
  const int c = cost(p, v);
  if (c < best->cost) *best = {v, c};
}

void SuperblockRefiner::attempt_whole(const Place& p, Shift v, Found* best) {
  v = p.limits.clamp(v);
  attempt(p, {static_cast<int16_t>(4 * v.x), static_cast<int16_t>(4 * v.y)}, best);
}

// Goes to the best of the eight neighbours `step` quarter samples away until there is none.
void SuperblockRefiner::descend(const Place& p, int step, int rounds, Found* best) {
  for (int round = 0; round < rounds; ++round) {
    const Mv centre = best->mv;
    for (int dy = -step; dy <= step; dy += step) {
      for (int dx = -step; dx <= step; dx += step) {
        if (dx != 0 || dy != 0) attempt(p, offset(centre, dx, dy), best);
      }
    }
    if (best->mv == centre) break;
  }
}

SuperblockRefiner::Found SuperblockRefiner::search(const Place& p, Mv parent, const Shift& coarse) {
  Found best{Mv{}, std::numeric_limits<int>::max()};
  attempt(p, p.predictor, &best);
  attempt(p, Mv{}, &best);
  attempt(p, parent, &best);
  for (int i = 0; i < 3; ++i) {
    if (p.neighbours.has[i]) attempt(p, p.neighbours.mv[i], &best);
  }
  if (task_.previous) attempt(p, task_.previous->mv_at(p.square.x, p.square.y), &best);
  attempt_whole(p, coarse, &best);
  subblocks_.for_known(p.square, [&](Mv v, int difference) {
    const int c =
        difference * kCostOne + rate_cost(rates_->vector(size_class(p.square), p.near,
                                                         v.x - p.predictor.x, v.y - p.predictor.y));
    if (c < best.cost) best = {v, c};
  });
  descend(p, 4, 8, &best);
  descend(p, 2, 2, &best);
  descend(p, 1, 2, &best);
  return best;
}

void SuperblockRefiner::keep(const Place& p, Mv v) {
  const uint8_t differs = v == p.predictor ? 0 : 1;
  task_.field.for_subblocks(p.square, [&](int cx, int cy) {
    const size_t at = task_.field.subblock_index(cx, cy);
    task_.field.mv[at] = v;
    task_.differs[at] = differs;
  });
}

// The lowest cost of a block; it may be split itself.
int SuperblockRefiner::decide_block(const Place& p, const Found& found) {
  const MotionSquare& block = p.square;
  const size_t near =
      count_near(block, [&](int cx, int cy) { return task_.field.subblock_split_at(cx, cy); });
  const int together = found.cost + rate_cost(rates_->subblock_split[near][0]);
  const int flag = rate_cost(rates_->subblock_split[near][1]);
  if (rates_->fine && together > flag + rate_cost(kLeastSplitBits * MotionRates::kOneBit)) {
    const int apart = flag + search_quarters(block, found.mv, together - flag);
    if (apart < together) {
      task_.field.split_block(block);
      return apart;
    }
  }
  keep(p, found.mv);
  return together;
}

// The cost of the quarters of a square, whose vectors it leaves in the field; gives up at the
// limit.
int SuperblockRefiner::search_quarters(const MotionSquare& square, Mv parent, int limit) {
  const int superblock = (square.y / kSuperblockSubblocks) * task_.field.superblocks_x +
                         square.x / kSuperblockSubblocks;
  const CoarseShifts& coarse = task_.coarse[static_cast<size_t>(superblock)];
  int total = 0;
  task_.field.for_quarters(square, [&](const MotionSquare& quarter, int i) {
    if (total >= limit) return;
    const Place p = place(quarter);
    if (quarter.size == kBlockSubblocks) {
      total += decide_block(p, search(p, parent, coarse.block[i]));
    } else {
      const Found found = search(p, parent, {parent.x >> 2, parent.y >> 2});
      keep(p, found.mv);
      total += found.cost;
    }
  });
  return total;
}

// Looks at the displacements of superblocks that come later: the field should be smooth there too.
Mv SuperblockRefiner::next_superblock(const Place& p, int sx, int sy) {
  const int columns = task_.field.superblocks_x;
  const auto whole = [&](int i, int j) {
    const Shift v = p.limits.clamp(task_.coarse[static_cast<size_t>(j * columns + i)].superblock);
    return Mv{static_cast<int16_t>(4 * v.x), static_cast<int16_t>(4 * v.y)};
  };
  if (sy + 1 < task_.field.superblocks_y) subblocks_.of(p.square, whole(sx, sy + 1));
  return sx + 1 < columns ? whole(sx + 1, sy) : Mv{};
}

void SuperblockRefiner::refine(const SuperblockRect& tile, const MotionRates& rates, int sx,
                               int sy) noexcept {
  tile_ = tile;
  rates_ = &rates;
  MotionField& field = task_.field;
  const MotionSquare superblock{kSuperblockSubblocks * sx, kSuperblockSubblocks * sy,
                                kSuperblockSubblocks};
  uint8_t& split = field.split_at(sx, sy);
  split = 0;
  const Place p = place(superblock);
  const SearchArea area =
      task_.pair.area(sx * kSuperblockSize, sy * kSuperblockSize, kSuperblockSize);
  if (p.predictor == Mv{} && task_.pair.is_static(area)) {
    keep(p, Mv{});
    return;
  }
  subblocks_.begin(area.x, area.y);
  const Mv next = next_superblock(p, sx, sy);
  const Found found =
      search(p, next, task_.coarse[static_cast<size_t>(sy * field.superblocks_x + sx)].superblock);
  const size_t near = count_near(superblock, [&](int cx, int cy) {
    return field.split_at(cx / kSuperblockSubblocks, cy / kSuperblockSubblocks) != 0;
  });
  const int together = found.cost + rate_cost(rates.split[near][0]);
  const int flag = rate_cost(rates.split[near][1]);
  const bool single = area.width <= kBlockSize && area.height <= kBlockSize;
  if (!single && together > flag + rate_cost(kLeastSplitBits * MotionRates::kOneBit)) {
    split = 1;
    if (flag + search_quarters(superblock, found.mv, together - flag) < together) return;
    split = 0;
  }
  keep(p, found.mv);
}

}  // namespace bsq
