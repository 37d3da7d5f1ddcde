// Merge candidates, temporal vectors and contexts of B frames.
#include "motion/b_motion.h"

#include <algorithm>
#include <cstdlib>

namespace bsq {
namespace {

int16_t scale(int v, int n, int d) {
  const int64_t product = int64_t{v} * n;
  const int64_t divisor = std::abs(int64_t{d});
  const int64_t size = (std::abs(product) + (divisor >> 1)) / divisor;
  const int64_t scaled = (product < 0) != (d < 0) ? -size : size;
  return static_cast<int16_t>(std::clamp<int64_t>(scaled, kMvMin, kMvMax));
}

void add_candidate(BPlace& place, size_t origin, const BlockMotion& motion) {
  if (place.candidate_count == BPlace::kMaxCandidates) return;
  if (place.find(motion) < place.candidate_count) return;
  place.origin[place.candidate_count] = static_cast<uint8_t>(origin);
  place.candidates[place.candidate_count++] = motion;
}

void list_candidates(const MotionField& field, const TemporalMotion& temporal, BPlace& place) {
  const auto add_neighbour = [&](size_t origin, size_t i) {
    const int at = place.neighbours.at[i];
    if (at >= 0) add_candidate(place, origin, block_motion(field, static_cast<size_t>(at)));
  };
  add_neighbour(0, 0);
  add_neighbour(1, 1);
  place.temporal = temporal.of(field, place.square);
  if (place.temporal) add_candidate(place, 2, *place.temporal);
  add_neighbour(3, 2);
  add_candidate(place, 4, {kBothReferences, place.predictor});
  add_candidate(place, 5, {kBothReferences, {}});
}

}  // namespace

Mv scale_mv(Mv v, int n, int d) { return {scale(v.x, n, d), scale(v.y, n, d)}; }

bool BlockMotion::same_as(const BlockMotion& other) const {
  if (direction != other.direction) return false;
  for (size_t i = 0; i < 2; ++i) {
    if (uses(i) && !(mv[i] == other.mv[i])) return false;
  }
  return true;
}

BlockMotion BlockMotion::completed(const ReferenceDistances& distances) const {
  BlockMotion all = *this;
  if (direction == kFirstReference) all.mv[1] = scale_mv(mv[0], -distances.forth, distances.back);
  if (direction == kSecondReference) all.mv[0] = scale_mv(mv[1], -distances.back, distances.forth);
  return all;
}

BlockMotion block_motion(const MotionField& field, size_t subblock) {
  return {field.direction[subblock], {field.mv[subblock], field.second[subblock]}};
}

void set_block_motion(MotionField& field, const MotionSquare& square, const BlockMotion& motion) {
  field.for_subblocks(square, [&](int cx, int cy) {
    const size_t at = field.subblock_index(cx, cy);
    field.direction[at] = motion.direction;
    field.mv[at] = motion.mv[0];
    field.second[at] = motion.mv[1];
  });
}

TemporalMotion::TemporalMotion(const MotionField& first, const ReferenceDistances& of_first,
                               const MotionField& second, const ReferenceDistances& of_second,
                               bool shared, const ReferenceDistances& distances) {
  if (shared) {
    vectors_ = &first.second;
    distance_ = of_first.forth;
    scales_ = {-distances.back, distances.forth};
  } else if (of_second.back > 0) {
    vectors_ = &second.mv;
    distance_ = of_second.back;
    scales_ = {distances.back, -distances.forth};
  }
}

TemporalMotion::TemporalMotion(const MotionField& reference, const ReferenceDistances& of_reference,
                               const ReferenceDistances& distances) {
  if (of_reference.back == 0) return;
  vectors_ = &reference.mv;
  distance_ = of_reference.back;
  scales_ = {distances.back, -distances.forth};
}

std::optional<BlockMotion> TemporalMotion::of(const MotionField& field,
                                              const MotionSquare& square) const {
  if (vectors_ == nullptr) return std::nullopt;
  const int x = std::min(square.x + square.size / 2, field.subblocks_x - 1);
  const int y = std::min(square.y + square.size / 2, field.subblocks_y - 1);
  const Mv v = (*vectors_)[field.subblock_index(x, y)];
  return BlockMotion{kBothReferences,
                     {scale_mv(v, scales_.back, distance_), scale_mv(v, scales_.forth, distance_)}};
}

size_t BPlace::find(const BlockMotion& motion) const {
  for (size_t i = 0; i < candidate_count; ++i) {
    if (candidates[i].same_as(motion)) return i;
  }
  return candidate_count;
}

uint8_t BPlace::marks(const BlockMotion& motion) const {
  if (find(motion) < candidate_count) return kMarkMerged;
  uint8_t marks = 0;
  if (motion.uses(0) && !(motion.mv[0] == predictor[0])) marks |= kMarkFirstDiffers;
  if (motion.uses(1) && !(motion.mv[1] == predictor[1])) marks |= kMarkSecondDiffers;
  return marks;
}

BPlace b_place(const MotionField& field, std::span<const uint8_t> marks, const SuperblockRect& tile,
               const MotionSquare& square, const TemporalMotion& temporal) {
  BPlace place;
  place.square = square;
  place.neighbours = neighbour_places(field, tile, square);
  for (size_t i = 0; i < 2; ++i) {
    place.predictor[i] = MotionNeighbours(place.neighbours, field.vectors(i)).median();
  }
  int side = 0;
  for (size_t i = 0; i < 2; ++i) {
    if (place.neighbours.at[i] < 0) continue;
    const auto at = static_cast<size_t>(place.neighbours.at[i]);
    const uint8_t direction = field.direction[at];
    place.near_merged += (marks[at] & kMarkMerged) != 0 ? 1U : 0U;
    place.near_both += direction == kBothReferences ? 1U : 0U;
    place.near_differs[0] += (marks[at] & kMarkFirstDiffers) != 0 ? 1U : 0U;
    place.near_differs[1] += (marks[at] & kMarkSecondDiffers) != 0 ? 1U : 0U;
    if (direction == kFirstReference) --side;
    if (direction == kSecondReference) ++side;
  }
  place.side = side < 0 ? 0 : side == 0 ? 1 : 2;
  list_candidates(field, temporal, place);
  return place;
}

}  // namespace bsq
