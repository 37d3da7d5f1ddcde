// The arithmetic of the encoder's decisions on single tokens, for the processor and for devices:
// the same operations in the same order, so that both decide alike. Not normative.
#pragma once

#include <cstdint>

#include "base/quant_step.h"

namespace bsq {

// Steps of a token, in sample values of the depth. `step_q8`: as step_q8() gives it.
struct TokenScale {
  double luma;
  double chroma;

  static constexpr double of_step(int64_t step_q8, int bit_depth) {
    return static_cast<double>(step_q8 << (bit_depth - 8)) / kStepOne;
  }

  // Sums of squares in squared steps.
  constexpr double scaled(int64_t luma_squares, int64_t chroma_squares) const {
    return static_cast<double>(luma_squares) / (luma * luma) +
           static_cast<double>(chroma_squares) / (chroma * chroma);
  }
};

// Mean square of what is around the mean of a token's luma, and of its chroma; and the mean's up to
// a limit. In squared steps. `luma_sum`: of the differences.
constexpr double token_energy(int luma_sum, int64_t luma_squares, int64_t chroma_squares,
                              const TokenScale& scale, double mean_limit) {
  constexpr double kLuma = 64;
  constexpr double kSamples = 96;
  const double mean = luma_sum / (kLuma * scale.luma);
  const double squares = scale.scaled(luma_squares, chroma_squares);
  const double around = (squares - kLuma * mean * mean) / kSamples;
  const double offset = mean * mean;
  return around + (mean_limit < offset ? mean_limit : offset);
}

// What a token's error counts for in the choice of tokens, in squared steps. `means`: squares of
// the sums of errors over 2x2, 4x4 and 8x8 luma samples, added up; `weights`: of these.
constexpr double weighted_error(int64_t luma_squares, int64_t chroma_squares,
                                const int64_t means[3], const TokenScale& scale,
                                const double weights[3]) {
  double sum = 0;
  double size = 4;
  for (int i = 0; i < 3; ++i, size *= 4) sum += weights[i] * static_cast<double>(means[i]) / size;
  return scale.scaled(luma_squares, chroma_squares) + sum / (scale.luma * scale.luma);
}

}  // namespace bsq
