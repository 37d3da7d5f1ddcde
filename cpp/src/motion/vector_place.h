// What is known of a vector before it is coded: the predictor, and how far what it was made from
// agrees (docs/bitstream.md section 4.8).
#pragma once

#include <array>
#include <cstddef>
#include <optional>

#include "motion/motion_field.h"

namespace bsq {

// 0 for equal vectors, up to 7 for vectors 127 quarter samples apart or more, in x and y together.
int distance_class(Mv a, Mv b);

// The greatest class of distance between two of the neighbours' vectors.
int spread_of(const MotionNeighbours& near);

struct VectorPlace {
  static constexpr size_t kMaxVotes = 6;
  static constexpr int kNoTemporal = 8;

  Mv predictor;
  std::array<Mv, kMaxVotes> votes;
  size_t vote_count = 0;
  int spread = 0;              // of the neighbours A, B, C
  int temporal = kNoTemporal;  // class of the distance between predictor and temporal vector
  int agreeing = 0;            // votes that are the predictor, 3 at most
};

// Of the square's vector into a reference. `temporal`: the temporal vector; `mirrored`: the vector
// into the other reference, mirrored.
VectorPlace vector_place(const MotionField& field, const NeighbourPlaces& places,
                         const MotionSquare& square, size_t reference, std::optional<Mv> temporal,
                         std::optional<Mv> mirrored);

// How much the motion of a reference differs inside the square: 0 unknown, 1 not at all, 2 a
// little, 3 more. `field`: of the reference; null where it has none.
size_t motion_variety(const MotionField* field, const MotionSquare& square);

}  // namespace bsq
