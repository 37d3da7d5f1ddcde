// Candidates, descent in whole samples, sub-sample refinement and the choice of partition.
#include "motion/search_refine.h"

#include <algorithm>

#include "motion/search_cost.h"

namespace bsq {

namespace {

constexpr int kSplitBits = 3;  // estimated bits of split = 1, that of split = 0 being 0
constexpr int kMaxSteps = 8;   // of the descent in whole samples

int rounded_quarter(int16_t v) { return (v + 2) >> 2; }

}  // namespace

void BlockRefiner::add_candidate(const ShiftLimits& lim, Shift v) {
  v = lim.clamp(v);
  if (std::find(candidates_.begin(), candidates_.end(), v) == candidates_.end()) {
    candidates_.push_back(v);
  }
}

// Displacements worth trying for a block of `size` parts at part (px, py).
void BlockRefiner::collect_candidates(const ShiftLimits& lim, int px, int py, int size,
                                      Mv predictor) {
  const auto add_mv = [&](const MotionField& field, int nx, int ny) {
    const Mv v = field.mv_at(nx, ny);
    add_candidate(lim, {rounded_quarter(v.x), rounded_quarter(v.y)});
  };
  candidates_.clear();
  add_candidate(lim, Shift{});
  add_candidate(lim, {rounded_quarter(predictor.x), rounded_quarter(predictor.y)});
  if (previous_) add_mv(*previous_, px, py);
  if (px > 2 * block_.x_begin) add_mv(field_, px - 1, py);
  if (py > 2 * block_.y_begin) {
    add_mv(field_, px, py - 1);
    // The window up and right precedes this one; that to the right does not.
    const bool coded = (py & 1) == 0;
    if (coded && px + size < std::min(2 * block_.x_end, field_.parts_x)) {
      add_mv(field_, px + size, py - 1);
    }
  }
}

// Descent from the best candidate over the four neighbours.
Shift BlockRefiner::search_whole(const SearchArea& a, const ShiftLimits& lim, Mv predictor) const {
  const auto cost_of = [&](Shift v) {
    return pair_.sad(0, a, v) * kCostOne +
           lambda_ * vector_bits(4 * v.x - predictor.x, 4 * v.y - predictor.y);
  };
  Shift best = candidates_.front();
  int best_cost = cost_of(best);
  for (size_t i = 1; i < candidates_.size(); ++i) {
    const int cost = cost_of(candidates_[i]);
    if (cost < best_cost) {
      best_cost = cost;
      best = candidates_[i];
    }
  }
  constexpr Shift kNeighbours[4] = {{0, -1}, {-1, 0}, {1, 0}, {0, 1}};
  for (int step = 0; step < kMaxSteps; ++step) {
    const Shift centre = best;
    for (const Shift& d : kNeighbours) {
      const Shift v{centre.x + d.x, centre.y + d.y};
      if (!lim.contains(v)) continue;
      const int cost = cost_of(v);
      if (cost < best_cost) {
        best_cost = cost;
        best = v;
      }
    }
    if (best == centre) break;
  }
  return best;
}

SubPixelSearch::Found BlockRefiner::search_block(const SearchArea& a, const ShiftLimits& lim,
                                                 Mv predictor, Shift start) {
  const SubPixelSearch::Block block{a, predictor, lambda_};
  SubPixelSearch::Found best = fraction_.search(block, start);
  const auto attempt = [&](Mv v) {
    if (v == best.mv || !lim.contains({v.x >> 2, v.y >> 2})) return;
    const int cost = fraction_.cost_at(block, v);
    if (cost <= best.cost) best = {v, cost};
  };
  attempt(Mv{});
  if (!(predictor == Mv{})) attempt(predictor);
  return best;
}

// Whether four vectors beat one by enough in whole samples to look closer.
bool BlockRefiner::splitting_may_pay(const SearchArea& window, Shift start,
                                     const CoarseShifts& coarse) const {
  int gain = 0;
  for (int i = 0; i < 4; ++i) {
    const int x = window.x + (i & 1) * kMotionPartSize;
    const int y = window.y + (i >> 1) * kMotionPartSize;
    if (x >= pair_.current.width(0) || y >= pair_.current.height(0)) continue;
    const SearchArea part = pair_.area(x, y, kMotionPartSize);
    const ShiftLimits lim = pair_.limits(part, 0);
    const int together = pair_.sad(0, part, lim.clamp(start));
    int alone = together;
    for (int dy = -1; dy <= 1; ++dy) {
      for (int dx = -1; dx <= 1; ++dx) {
        const Shift v = lim.clamp({coarse.part[i].x + dx, coarse.part[i].y + dy});
        alone = std::min(alone, pair_.sad(0, part, v));
      }
    }
    gain += together - alone;
  }
  return gain * kCostOne > lambda_ * (kSplitBits + 4);
}

// Finds vectors for the parts of a window. Leaves them in the field and answers true if they cost
// less than the limit.
bool BlockRefiner::search_parts(int wx, int wy, Shift start, const CoarseShifts& coarse,
                                int cost_limit) {
  int total = lambda_ * kSplitBits;
  for (int i = 0; i < 4; ++i) {
    const int px = 2 * wx + (i & 1);
    const int py = 2 * wy + (i >> 1);
    if (px >= field_.parts_x || py >= field_.parts_y) continue;
    const SearchArea a = pair_.area(px * kMotionPartSize, py * kMotionPartSize, kMotionPartSize);
    const ShiftLimits lim = pair_.limits(a, 0);
    const Mv predictor = predict_part_mv(field_, block_, px, py);
    collect_candidates(lim, px, py, 1, predictor);
    add_candidate(lim, start);
    add_candidate(lim, coarse.part[i]);
    const SubPixelSearch::Found found =
        search_block(a, lim, predictor, search_whole(a, lim, predictor));
    field_.mv_at(px, py) = found.mv;
    total += found.cost;
    if (total >= cost_limit) return false;
  }
  return true;
}

void BlockRefiner::refine_window(int wx, int wy) {
  const SearchArea a =
      pair_.area(wx * kMotionWindowSize, wy * kMotionWindowSize, kMotionWindowSize);
  const ShiftLimits lim = pair_.limits(a, 0);
  const Mv predictor = predict_window_mv(field_, block_, wx, wy);
  if (predictor == Mv{} && pair_.is_static(a)) {
    field_.set_window(wx, wy, Mv{});
    return;
  }
  const auto coarse_at = [&](int x, int y) -> const CoarseShifts& {
    return coarse_[static_cast<size_t>(y * field_.windows_x + x)];
  };
  const CoarseShifts& coarse = coarse_at(wx, wy);
  collect_candidates(lim, 2 * wx, 2 * wy, 2, predictor);
  add_candidate(lim, coarse.window);
  if (wx + 1 < field_.windows_x) add_candidate(lim, coarse_at(wx + 1, wy).window);
  if (wy + 1 < field_.windows_y) add_candidate(lim, coarse_at(wx, wy + 1).window);
  const Shift start = search_whole(a, lim, predictor);
  const SubPixelSearch::Found found = search_block(a, lim, predictor, start);
  const bool single = a.width <= kMotionPartSize && a.height <= kMotionPartSize;
  const bool good = found.cost <= a.width * a.height * kCostOne / 2 + lambda_;
  if (!single && !good && splitting_may_pay(a, start, coarse) &&
      search_parts(wx, wy, start, coarse, found.cost)) {
    field_.split_at(wx, wy) = 1;
    return;
  }
  field_.set_window(wx, wy, found.mv);
}

void BlockRefiner::run() {
  for (int wy = block_.y_begin; wy < block_.y_end; ++wy) {
    for (int wx = block_.x_begin; wx < block_.x_end; ++wx) refine_window(wx, wy);
  }
}

}  // namespace bsq
