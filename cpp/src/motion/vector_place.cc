// What is known of a vector before it is coded.
#include "motion/vector_place.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <vector>

namespace bsq {
namespace {

constexpr int kMaxDistanceClass = 7;
constexpr int kMaxAgreeing = 3;
constexpr int kLittleVariety = 2;  // a class of distance

// A + B - AL, which holds where motion is linear in x and y.
std::optional<Mv> continued(const MotionField& field, const MotionNeighbours& near,
                            const MotionSquare& square, const std::vector<Mv>& vectors) {
  if (!near.has[0] || !near.has[1]) return std::nullopt;
  const Mv corner = vectors[field.subblock_index(square.x - 1, square.y - 1)];
  return Mv{static_cast<int16_t>(near.mv[0].x + near.mv[1].x - corner.x),
            static_cast<int16_t>(near.mv[0].y + near.mv[1].y - corner.y)};
}

}  // namespace

int distance_class(Mv a, Mv b) {
  const int apart = std::abs(a.x - b.x) + std::abs(a.y - b.y);
  return std::min(static_cast<int>(std::bit_width(static_cast<unsigned>((apart + 1) / 2))),
                  kMaxDistanceClass);
}

int spread_of(const MotionNeighbours& near) {
  int spread = 0;
  for (int i = 0; i < 3; ++i) {
    const int j = (i + 1) % 3;
    if (near.has[i] && near.has[j]) {
      spread = std::max(spread, distance_class(near.mv[i], near.mv[j]));
    }
  }
  return spread;
}

VectorPlace vector_place(const MotionField& field, const NeighbourPlaces& places,
                         const MotionSquare& square, size_t reference, std::optional<Mv> temporal,
                         std::optional<Mv> mirrored) {
  const std::vector<Mv>& vectors = field.vectors(reference);
  const MotionNeighbours near(places, vectors);
  VectorPlace place;
  place.predictor = near.median();
  place.spread = spread_of(near);
  if (temporal) place.temporal = distance_class(place.predictor, *temporal);
  const auto add = [&](std::optional<Mv> v) {
    if (!v) return;
    place.votes[place.vote_count++] = *v;
    if (*v == place.predictor) place.agreeing = std::min(place.agreeing + 1, kMaxAgreeing);
  };
  for (int i = 0; i < 3; ++i) add(near.has[i] ? std::optional(near.mv[i]) : std::nullopt);
  add(temporal);
  add(continued(field, near, square, vectors));
  add(mirrored);
  return place;
}

size_t motion_variety(const MotionField* field, const MotionSquare& square) {
  if (field == nullptr) return 0;
  const Mv first = field->mv_at(square.x, square.y);
  int most = 0;
  field->for_subblocks(square, [&](int cx, int cy) {
    most = std::max(most, distance_class(first, field->mv_at(cx, cy)));
  });
  return most == 0 ? 1 : most <= kLittleVariety ? 2 : 3;
}

}  // namespace bsq
