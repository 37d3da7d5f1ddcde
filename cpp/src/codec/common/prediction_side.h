// What side vectors say of a token's prediction (docs/numerics.md section 3): how far its two
// predictions differ, and how motion changes around it.
#pragma once

#include <bit>
#include <cstdint>
#include <span>

#include "motion/motion_field.h"

namespace bsq {

// L(n), 64 for each octave of n + 1.
constexpr int side_log2(int n) {
  const int k = std::bit_width(static_cast<unsigned>(n) + 1) - 1;
  return 64 * k + ((64 * (n + 1)) >> k) - 64;
}

// The values of the tokens of a superblock row, into `out` [tokens, kPredictionSide] of the whole
// frame. `differences`: by sub-block, from motion_compensate_rows().
void prediction_side_row(const MotionField& field, std::span<const uint16_t> differences,
                         int bit_depth, int superblock_row, std::span<int16_t> out);

}  // namespace bsq
