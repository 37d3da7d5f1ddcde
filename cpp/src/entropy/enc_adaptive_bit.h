// Encoding under adaptive contexts (see adaptive_bit.h).
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <string>

#include "base/status.h"
#include "entropy/adaptive_bit.h"
#include "entropy/bit_cost.h"
#include "entropy/enc_range_coder.h"

namespace bsq {

inline void encode_adaptive(RangeEncoder& encoder, AdaptiveBit& context, bool bit) {
  encoder.encode(bit, context.probability());
  context.update(bit);
}

// Throws Error(BSQ_ERROR_ARGUMENT) if |value| > SignedContexts::kMaxMagnitude.
inline void encode_signed(RangeEncoder& encoder, SignedContexts& contexts, int32_t value) {
  if (value > SignedContexts::kMaxMagnitude || value < -SignedContexts::kMaxMagnitude) {
    throw Error(BSQ_ERROR_ARGUMENT, "the value " + std::to_string(value) +
                                        " is outside of -32767 .. 32767 and cannot be coded");
  }
  encode_adaptive(encoder, contexts.zero, value == 0);
  if (value == 0) return;
  encoder.encode(value < 0, kProbabilityHalf);
  const uint32_t n = static_cast<uint32_t>(value < 0 ? -value : value);
  const int k = static_cast<int>(std::bit_width(n)) - 1;
  for (int i = 0; i < k; ++i)
    encode_adaptive(encoder, contexts.prefix[static_cast<size_t>(i)], true);
  encode_adaptive(encoder, contexts.prefix[static_cast<size_t>(k)], false);
  encoder.encode_bypass(n, k);
}

// What encode_signed would take, in units of 2^-12 bit, with the contexts as they stand. Values
// beyond the limit cost as much as the limit.
inline uint32_t signed_cost_q12(const SignedContexts& contexts, int32_t value) {
  const bool is_zero = value == 0;
  uint32_t cost = bit_cost_q12(is_zero, contexts.zero.probability());
  if (is_zero) return cost;
  const int32_t v =
      std::clamp(value, -SignedContexts::kMaxMagnitude, SignedContexts::kMaxMagnitude);
  const int k = static_cast<int>(std::bit_width(static_cast<uint32_t>(v < 0 ? -v : v))) - 1;
  for (int i = 0; i <= k; ++i) {
    cost += bit_cost_q12(i < k, contexts.prefix[static_cast<size_t>(i)].probability());
  }
  return cost + (static_cast<uint32_t>(1 + k) << 12);
}

}  // namespace bsq
