// Candidates, vectors into each reference, and pairs of them.
#include "motion/search_b_square.h"

#include <algorithm>

#include "motion/search_cost.h"

namespace bsq {
namespace {

Mv offset(Mv v, int dx, int dy) {
  return {static_cast<int16_t>(v.x + dx), static_cast<int16_t>(v.y + dy)};
}

Mv whole_samples(Shift v) { return {static_cast<int16_t>(4 * v.x), static_cast<int16_t>(4 * v.y)}; }

bool within(const ShiftLimits& limits, Mv v) { return limits.contains({v.x >> 2, v.y >> 2}); }

// fn(dx, dy) for the eight places `step` away.
template <class Fn>
void for_around(int step, const Fn& fn) {
  for (int dy = -step; dy <= step; dy += step) {
    for (int dx = -step; dx <= step; dx += step) {
      if (dx != 0 || dy != 0) fn(dx, dy);
    }
  }
}

}  // namespace

BSquareSearch::BSquareSearch(const BSearchTask& task)
    : task_(task),
      single_{SubblockCosts(task.current, task.references[0]->phases(), task.kernels),
              SubblockCosts(task.current, task.references[1]->phases(), task.kernels)},
      pairs_(task.current, task.references[0]->phases(), task.references[1]->phases(),
             task.kernels) {}

void BSquareSearch::begin(const SuperblockRect& tile, const BMotionRates& rates, int sx, int sy) {
  tile_ = tile;
  rates_ = &rates;
  for (SubblockCosts& costs : single_) costs.begin(sx * kSuperblockSize, sy * kSuperblockSize);
  pairs_.begin(sx * kSuperblockSize, sy * kSuperblockSize);
}

BSearchPlace BSquareSearch::place(const MotionSquare& s) const {
  BSearchPlace p{b_place(task_.field, task_.marks, tile_, s, task_.temporal), {}};
  const SearchPair pair = task_.pair(0);  // the limits are those of both
  p.limits =
      pair.limits(pair.area(s.x * kSubblockSize, s.y * kSubblockSize, s.size * kSubblockSize), 0);
  return p;
}

void BSquareSearch::keep(const BSearchPlace& p, const BlockMotion& motion) {
  set_block_motion(task_.field, p.square, motion.completed(task_.distances));
  const uint8_t marks = p.marks(motion);
  task_.field.for_subblocks(
      p.square, [&](int cx, int cy) { task_.marks[task_.field.subblock_index(cx, cy)] = marks; });
}

int BSquareSearch::difference(const BSearchPlace& p, const BlockMotion& motion) {
  if (motion.direction == kBothReferences) {
    return pairs_.of(p.square, {motion.mv[0], motion.mv[1]});
  }
  const size_t reference = motion.uses(0) ? 0 : 1;
  return single_[reference].of(p.square, motion.mv[reference]);
}

void BSquareSearch::try_candidates(const BSearchPlace& p, Found* best) {
  for (size_t i = 0; i < p.candidate_count; ++i) {
    const BlockMotion& motion = p.candidates[i];
    if (motion.uses(0) && !within(p.limits, motion.mv[0])) continue;
    if (motion.uses(1) && !within(p.limits, motion.mv[1])) continue;
    const int cost = difference(p, motion) * kCostOne + rate_cost(rates_->merge(p, i));
    if (cost < best->cost) *best = {motion, cost};
  }
}

int BSquareSearch::vector_cost(const BSearchPlace& p, size_t reference, Mv v,
                               int difference) const {
  return difference * kCostOne + rate_cost(rates_->vector(p, reference, v));
}

void BSquareSearch::try_vector(const BSearchPlace& p, size_t reference, Mv v, FoundVector* best) {
  if (!within(p.limits, v)) return;
  const int cost = vector_cost(p, reference, v, single_[reference].of(p.square, v));
  if (cost < best->cost) *best = {v, cost};
}

// Goes to the best of the eight neighbours `step` quarter samples away until there is none.
void BSquareSearch::descend(const BSearchPlace& p, size_t reference, int step, int rounds,
                            FoundVector* best) {
  for (int round = 0; round < rounds; ++round) {
    const Mv centre = best->mv;
    for_around(step,
               [&](int dx, int dy) { try_vector(p, reference, offset(centre, dx, dy), best); });
    if (best->mv == centre) break;
  }
}

BSquareSearch::FoundVector BSquareSearch::search_reference(const BSearchPlace& p, size_t reference,
                                                           Mv parent, Shift coarse) {
  FoundVector best;
  try_vector(p, reference, p.predictor[reference], &best);
  try_vector(p, reference, Mv{}, &best);
  try_vector(p, reference, parent, &best);
  for (const int at : p.neighbours.at) {
    if (at < 0) continue;
    try_vector(p, reference, task_.field.vectors(reference)[static_cast<size_t>(at)], &best);
  }
  if (p.temporal) try_vector(p, reference, p.temporal->mv[reference], &best);
  try_vector(p, reference, whole_samples(p.limits.clamp(coarse)), &best);
  single_[reference].for_known(p.square, [&](Mv v, int difference) {
    const int cost = vector_cost(p, reference, v, difference);
    if (cost < best.cost) best = {v, cost};
  });
  descend(p, reference, 4, 8, &best);
  descend(p, reference, 2, 2, &best);
  descend(p, reference, 1, 2, &best);
  return best;
}

void BSquareSearch::try_pair(const BSearchPlace& p, Mv first, Mv second, Found* best) {
  if (!within(p.limits, first) || !within(p.limits, second)) return;
  const int rate = rate_cost(rates_->direction(p, kBothReferences) + rates_->vector(p, 0, first) +
                             rates_->vector(p, 1, second));
  if (rate >= best->cost) return;
  const int cost = pairs_.of(p.square, {first, second}) * kCostOne + rate;
  if (cost < best->cost) *best = {{kBothReferences, {first, second}}, cost};
}

// Moves one vector and then the other, for better means.
void BSquareSearch::refine_pair(const BSearchPlace& p, Found* best) {
  for (int round = 0; round < task_.pair_rounds; ++round) {
    const int before = best->cost;
    for (const int step : {2, 1}) {
      for (size_t moved = 0; moved < 2; ++moved) {
        const std::array<Mv, 2> v = best->motion.mv;
        for_around(step, [&](int dx, int dy) {
          std::array<Mv, 2> w = v;
          w[moved] = offset(w[moved], dx, dy);
          try_pair(p, w[0], w[1], best);
        });
      }
    }
    if (best->cost == before) break;
  }
}

BSquareSearch::Found BSquareSearch::search_pair(const BSearchPlace& p, const BlockMotion& parent,
                                                const FoundVectors& found, const Found& so_far) {
  Found best;
  const std::array<Mv, 2>& predictor = p.predictor;
  try_pair(p, found[0].mv, found[1].mv, &best);
  try_pair(p, predictor[0], predictor[1], &best);
  try_pair(p, predictor[0], found[1].mv, &best);
  try_pair(p, found[0].mv, predictor[1], &best);
  if (parent.direction != 0) try_pair(p, parent.mv[0], parent.mv[1], &best);
  if (p.temporal) try_pair(p, p.temporal->mv[0], p.temporal->mv[1], &best);
  if (so_far.motion.direction == kBothReferences) {
    try_pair(p, so_far.motion.mv[0], so_far.motion.mv[1], &best);
  }
  if (best.cost != kNone && best.cost - (best.cost >> 3) < so_far.cost) refine_pair(p, &best);
  return best;
}

BSquareSearch::Found BSquareSearch::search(const BSearchPlace& p, const BlockMotion& parent,
                                           const Shifts& coarse) {
  Found best;
  try_candidates(p, &best);
  FoundVectors found;
  Found other;
  for (size_t i = 0; i < 2; ++i) {
    found[i] = search_reference(p, i, parent.mv[i], coarse[i]);
    const uint8_t direction = i == 0 ? kFirstReference : kSecondReference;
    const int cost = found[i].cost + rate_cost(rates_->direction(p, direction));
    if (cost >= std::min(best.cost, other.cost)) continue;
    other.motion.direction = direction;
    other.motion.mv[i] = found[i].mv;
    other.cost = cost;
  }
  if (other.cost < best.cost) best = other;
  const Found pair = search_pair(p, parent, found, best);
  if (pair.cost < best.cost) best = pair;
  best.motion = best.motion.completed(task_.distances);
  return best;
}

}  // namespace bsq
