// Motion of B frames: directions, vectors into two references, merge candidates and temporal
// vectors (docs/bitstream.md section 4.6).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "motion/motion_field.h"

namespace bsq {

// Of the references of a B frame, in frames; `forth` is 0 in a P frame, below 0 where the second
// reference is before the frame; both are 0 in a keyframe.
struct ReferenceDistances {
  int back = 0;
  int forth = 0;

  int of(size_t reference) const { return reference == 0 ? back : forth; }
};

// v * n / d, rounded to the nearest, halves away from zero; d is not 0.
Mv scale_mv(Mv v, int n, int d);

// The motion of a square.
struct BlockMotion {
  uint8_t direction = 0;
  std::array<Mv, 2> mv{};

  bool uses(size_t reference) const { return (direction >> reference & 1) != 0; }
  // Equal in the direction and in the vectors that are used.
  bool same_as(const BlockMotion& other) const;
  // With the vector that is not used made from the one that is.
  BlockMotion completed(const ReferenceDistances& distances) const;
};

BlockMotion block_motion(const MotionField& field, size_t subblock);
void set_block_motion(MotionField& field, const MotionSquare& square, const BlockMotion& motion);

// Where temporal vectors come from: vectors of an already coded frame, scaled.
class TemporalMotion {
 public:
  // There are none.
  TemporalMotion() = default;
  // Of a B frame between its references: the field of a reference, its distances, and likewise of
  // the other reference. `shared`: the second reference of the first reference is the second
  // reference here. The fields must outlive the object.
  TemporalMotion(const MotionField& first, const ReferenceDistances& of_first,
                 const MotionField& second, const ReferenceDistances& of_second, bool shared,
                 const ReferenceDistances& distances);
  // Of a P frame, or of a B frame whose references are both before it: only the vectors of its
  // first reference count, and of these those into the first one's own first reference.
  TemporalMotion(const MotionField& reference, const ReferenceDistances& of_reference,
                 const ReferenceDistances& distances);

  std::optional<BlockMotion> of(const MotionField& field, const MotionSquare& square) const;

 private:
  const std::vector<Mv>* vectors_ = nullptr;
  int distance_ = 0;
  ReferenceDistances scales_;  // with their signs
};

// Marks of sub-blocks, one byte each.
inline constexpr uint8_t kMarkFirstDiffers = 1;   // a difference from the predictor was coded
inline constexpr uint8_t kMarkSecondDiffers = 2;  // likewise into the second reference
inline constexpr uint8_t kMarkMerged = 4;

// What is known of a square of a B frame before its motion is: candidates, predictors, contexts.
struct BPlace {
  static constexpr size_t kMaxCandidates = 5;

  MotionSquare square;
  NeighbourPlaces neighbours;
  std::array<Mv, 2> predictor;
  std::optional<BlockMotion> temporal;
  size_t near_merged = 0;  // of the neighbours A and B, how many are merged
  size_t near_both = 0;    // ... have both references
  size_t side = 0;         // the context of "second reference"
  std::array<size_t, 2> near_differs{};
  std::array<BlockMotion, kMaxCandidates> candidates;
  std::array<uint8_t, kMaxCandidates> origin;  // which of the list of section 4.6 each is
  size_t candidate_count = 0;

  // Of the candidate that is the same; candidate_count where there is none.
  size_t find(const BlockMotion& motion) const;
  // The marks of the square where it has this motion, and merges where it can.
  uint8_t marks(const BlockMotion& motion) const;
};

// `marks` of the sub-blocks that precede the square in its tile.
BPlace b_place(const MotionField& field, std::span<const uint8_t> marks, const SuperblockRect& tile,
               const MotionSquare& square, const TemporalMotion& temporal);

}  // namespace bsq
