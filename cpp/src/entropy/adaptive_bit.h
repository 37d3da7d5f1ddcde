// Contexts: adaptive probabilities of bits, for motion and skip symbols (normative).
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "entropy/range_coder.h"

namespace bsq {

// The probability of a 1 is the mean of two estimates, one that follows fast and one that follows
// slowly; they are clamped so that no symbol costs more than 11 bits.
class AdaptiveBit {
 public:
  static constexpr int kFastRate = 4;
  static constexpr int kSlowRate = 7;
  static constexpr int32_t kMinimum = 32;
  static constexpr int32_t kMaximum = 65535 - 31;

  // `initial` is the first probability of a 1, 0 .. 65535 in units of 2^-16.
  explicit constexpr AdaptiveBit(uint16_t initial = kProbabilityHalf)
      : fast_(initial), slow_(initial) {}

  constexpr uint32_t probability() const {
    return static_cast<uint32_t>(std::clamp((fast_ + slow_) >> 1, kMinimum, kMaximum));
  }

  // Moves both estimates towards 65535 (bit 1) or 0 (bit 0). The shift of a negative difference
  // rounds down, so that estimates reach 0 but stop short of 65535: by 15 and by 127.
  constexpr void update(bool bit) {
    const int32_t target = bit ? 65535 : 0;
    fast_ += (target - fast_) >> kFastRate;
    slow_ += (target - slow_) >> kSlowRate;
  }

 private:
  int32_t fast_;  // 0 .. 65535
  int32_t slow_;  // 0 .. 65535
};

// Contexts for a signed integer v with |v| <= 32767:
//   one bit, 1 if v = 0; else
//   one bypass bit, 1 if v < 0;
//   with n = |v| (1 .. 32767) and k = floor(log2(n)), k ones and a zero, bit number i under
//   prefix[i];
//   the k low bits of n as bypass bits, highest first.
// This is Exp-Golomb order 0 of |v| - 1. A decoder that finds k > 14 has damaged data.
struct SignedContexts {
  static constexpr int kMaxPrefix = 14;
  static constexpr int32_t kMaxMagnitude = (1 << (kMaxPrefix + 1)) - 1;

  AdaptiveBit zero;
  std::array<AdaptiveBit, kMaxPrefix + 1> prefix;
};

}  // namespace bsq
