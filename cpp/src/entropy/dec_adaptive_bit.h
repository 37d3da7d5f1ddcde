// Decoding under adaptive contexts (see adaptive_bit.h).
#pragma once

#include <cstdint>

#include "base/status.h"
#include "entropy/adaptive_bit.h"
#include "entropy/dec_range_coder.h"

namespace bsq {

inline bool decode_adaptive(RangeDecoder& decoder, AdaptiveBit& context) {
  const bool bit = decoder.decode(context.probability());
  context.update(bit);
  return bit;
}

// In -32767 .. 32767. Throws Error(BSQ_ERROR_BITSTREAM) if the prefix is longer than can be.
inline int32_t decode_signed(RangeDecoder& decoder, SignedContexts& contexts) {
  if (decode_adaptive(decoder, contexts.zero)) return 0;
  const bool negative = decoder.decode(kProbabilityHalf);
  int k = 0;
  while (decode_adaptive(decoder, contexts.prefix[static_cast<size_t>(k)])) {
    if (++k > SignedContexts::kMaxPrefix) {
      throw Error(BSQ_ERROR_BITSTREAM,
                  "the entropy-coded data is damaged: a number has a prefix of more than 14 bits");
    }
  }
  const int32_t n = static_cast<int32_t>((uint32_t{1} << k) | decoder.decode_bypass(k));
  return negative ? -n : n;
}

}  // namespace bsq
