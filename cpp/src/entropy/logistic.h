// From logits to the 16-bit probabilities of the range coder (normative).
//
// A logit l in Q8, ln(p / (1 - p)) * 256, gives p(bit 1) = 65536 / (1 + exp(-l / 256)) rounded to
// the nearest integer. Logits are clamped to [-2839, 2839], where p reaches 1 and 65535. The table
// holds the smaller of the two probabilities, for -|l|; the other is 65536 minus it. No entry is
// close to a tie, so that the table does not depend on how it is computed
// (cpp/tools/generate_entropy_tables.py).
#pragma once

#include <cstdint>

#include "entropy/range_coder.h"

namespace bsq {

constexpr int32_t kMaxLogit = 2839;

// kLogistic[i] is the probability of a 1 under the logit -i: 32768 at 0, falling to 1 at 2839.
extern const uint16_t kLogistic[kMaxLogit + 1];

// In 1 .. 65535, for any logit. `table`: kLogistic, or a copy of it where that is out of reach.
// Without std::clamp, whose references to constants devices do not follow.
constexpr uint32_t probability_from_logit(int32_t logit, const uint16_t* table) {
  const int32_t size = logit < 0 ? -(logit < -kMaxLogit ? -kMaxLogit : logit) : logit;
  const int32_t l = size > kMaxLogit ? kMaxLogit : size;
  return logit > 0 ? kProbabilityOne - table[l] : table[l];
}
inline uint32_t probability_from_logit(int32_t logit) {
  return probability_from_logit(logit, kLogistic);
}

}  // namespace bsq
