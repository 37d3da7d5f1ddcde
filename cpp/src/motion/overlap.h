// Overlapped motion compensation: samples near an edge between different motion take a part of what
// the neighbour's motion predicts (docs/bitstream.md section 4.7). Normative.
#pragma once

#include <array>
#include <cstdint>

#include "base/plane.h"
#include "motion/compensate.h"
#include "motion/motion_field.h"

namespace bsq {

// The neighbour's parts of 32 in the lines from the edge on.
inline constexpr std::array<int32_t, 4> kLumaParts = {8, 4, 2, 1};
inline constexpr std::array<int32_t, 2> kChromaParts = {8, 3};

// Mixes the samples of a square of the field, which `out` has predicted by its own motion. Reads
// nothing else of `out`, so that squares may go in any order.
void overlap_square(const ReferenceFrames& refs, const MotionField& field,
                    const MotionSquare& square, Frame& out);

}  // namespace bsq
