// Candidates, descent to quarter samples and the choice of partition.
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
size_t WindowRefiner::count_near(const MotionSquare& s, const Fn& fn) const {
  const bool left = s.x > kWindowCells * block_.x_begin && fn(s.x - 1, s.y);
  const bool above = s.y > kWindowCells * block_.y_begin && fn(s.x, s.y - 1);
  return size_t{left} + size_t{above};
}

WindowRefiner::Place WindowRefiner::place(const MotionSquare& s) const {
  Place p;
  p.square = s;
  const int size = s.size * kMotionCellSize;
  p.limits =
      task_.pair.limits(task_.pair.area(s.x * kMotionCellSize, s.y * kMotionCellSize, size), 0);
  p.neighbours = motion_neighbours(task_.field, block_, s);
  p.predictor = p.neighbours.median();
  p.near = count_near(
      s, [&](int cx, int cy) { return task_.differs[task_.field.cell_index(cx, cy)] != 0; });
  return p;
}

int WindowRefiner::cost(const Place& p, Mv v) {
  return cells_.of(p.square, v) * kCostOne +
         price(prices_->vector(size_class(p.square), p.near, v.x - p.predictor.x,
                               v.y - p.predictor.y));
}

void WindowRefiner::attempt(const Place& p, Mv v, Found* best) {
  if (!p.limits.contains({v.x >> 2, v.y >> 2})) return;
  const int c = cost(p, v);
  if (c < best->cost) *best = {v, c};
}

void WindowRefiner::attempt_whole(const Place& p, Shift v, Found* best) {
  v = p.limits.clamp(v);
  attempt(p, {static_cast<int16_t>(4 * v.x), static_cast<int16_t>(4 * v.y)}, best);
}

// Goes to the best of the eight neighbours `step` quarter samples away until there is none.
void WindowRefiner::descend(const Place& p, int step, int rounds, Found* best) {
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

WindowRefiner::Found WindowRefiner::search(const Place& p, Mv parent, const Shift& coarse) {
  Found best{Mv{}, std::numeric_limits<int>::max()};
  attempt(p, p.predictor, &best);
  attempt(p, Mv{}, &best);
  attempt(p, parent, &best);
  for (int i = 0; i < 3; ++i) {
    if (p.neighbours.has[i]) attempt(p, p.neighbours.mv[i], &best);
  }
  if (task_.previous) attempt(p, task_.previous->mv_at(p.square.x, p.square.y), &best);
  attempt_whole(p, coarse, &best);
  cells_.for_known(p.square, [&](Mv v, int difference) {
    const int c =
        difference * kCostOne + price(prices_->vector(size_class(p.square), p.near,
                                                      v.x - p.predictor.x, v.y - p.predictor.y));
    if (c < best.cost) best = {v, c};
  });
  descend(p, 4, 8, &best);
  descend(p, 2, 2, &best);
  descend(p, 1, 2, &best);
  return best;
}

void WindowRefiner::keep(const Place& p, Mv v) {
  const uint8_t differs = v == p.predictor ? 0 : 1;
  task_.field.for_cells(p.square, [&](int cx, int cy) {
    const size_t at = task_.field.cell_index(cx, cy);
    task_.field.mv[at] = v;
    task_.differs[at] = differs;
  });
}

// The cost of a part in the best way; it may be split itself.
int WindowRefiner::settle_part(const Place& p, const Found& found) {
  const MotionSquare& part = p.square;
  const size_t near =
      count_near(part, [&](int cx, int cy) { return task_.field.cell_split_at(cx, cy); });
  const int together = found.cost + price(prices_->cell_split[near][0]);
  const int flag = price(prices_->cell_split[near][1]);
  if (prices_->fine && together > flag + price(kLeastSplitBits * MotionPrices::kOneBit)) {
    const int apart = flag + search_quarters(part, found.mv, together - flag);
    if (apart < together) {
      task_.field.split_cells(part);
      return apart;
    }
  }
  keep(p, found.mv);
  return together;
}

// The cost of the quarters of a square, whose vectors it leaves in the field; gives up at the
// limit.
int WindowRefiner::search_quarters(const MotionSquare& square, Mv parent, int limit) {
  const int window = (square.y / kWindowCells) * task_.field.windows_x + square.x / kWindowCells;
  const CoarseShifts& coarse = task_.coarse[static_cast<size_t>(window)];
  int total = 0;
  task_.field.for_quarters(square, [&](const MotionSquare& quarter, int i) {
    if (total >= limit) return;
    const Place p = place(quarter);
    if (quarter.size == kPartCells) {
      total += settle_part(p, search(p, parent, coarse.part[i]));
    } else {
      const Found found = search(p, parent, {parent.x >> 2, parent.y >> 2});
      keep(p, found.mv);
      total += found.cost;
    }
  });
  return total;
}

// Looks at the displacements of windows that come later: the field should be smooth there too.
Mv WindowRefiner::look_ahead(const Place& p, int wx, int wy) {
  const int columns = task_.field.windows_x;
  const auto whole = [&](int i, int j) {
    const Shift v = p.limits.clamp(task_.coarse[static_cast<size_t>(j * columns + i)].window);
    return Mv{static_cast<int16_t>(4 * v.x), static_cast<int16_t>(4 * v.y)};
  };
  if (wy + 1 < task_.field.windows_y) cells_.of(p.square, whole(wx, wy + 1));
  return wx + 1 < columns ? whole(wx + 1, wy) : Mv{};
}

void WindowRefiner::refine(const WindowRect& block, const MotionPrices& prices, int wx,
                           int wy) noexcept {
  block_ = block;
  prices_ = &prices;
  MotionField& field = task_.field;
  const MotionSquare window{kWindowCells * wx, kWindowCells * wy, kWindowCells};
  uint8_t& split = field.split_at(wx, wy);
  split = 0;
  const Place p = place(window);
  const SearchArea area =
      task_.pair.area(wx * kMotionWindowSize, wy * kMotionWindowSize, kMotionWindowSize);
  if (p.predictor == Mv{} && task_.pair.is_static(area)) {
    keep(p, Mv{});
    return;
  }
  cells_.begin(area.x, area.y);
  const Mv next = look_ahead(p, wx, wy);
  const Found found =
      search(p, next, task_.coarse[static_cast<size_t>(wy * field.windows_x + wx)].window);
  const size_t near = count_near(window, [&](int cx, int cy) {
    return field.split_at(cx / kWindowCells, cy / kWindowCells) != 0;
  });
  const int together = found.cost + price(prices.split[near][0]);
  const int flag = price(prices.split[near][1]);
  const bool single = area.width <= kMotionPartSize && area.height <= kMotionPartSize;
  if (!single && together > flag + price(kLeastSplitBits * MotionPrices::kOneBit)) {
    split = 1;
    if (flag + search_quarters(window, found.mv, together - flag) < together) return;
    split = 0;
  }
  keep(p, found.mv);
}

}  // namespace bsq
