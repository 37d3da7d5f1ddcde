// Corrections of the prior's logits, which follow the frame at hand: docs/bitstream.md section 3.4.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "entropy/logistic.h"
#include "network/token_field.h"

namespace bsq {

class LogitCorrection {
 public:
  // What is added to a logit.
  int32_t value() const { return value_ >> kShift; }
  uint32_t probability(int32_t logit) const { return probability_from_logit(logit + value()); }
  // `probability`: under which the bit was coded, or would have been by the corrected logit alone.
  void learn(bool bit, uint32_t probability) {
    const int32_t error = (bit ? 65536 : 0) - static_cast<int32_t>(probability);
    value_ = std::clamp(value_ + error, -kLimit, kLimit);
  }

 private:
  static constexpr int kShift = 13;
  static constexpr int32_t kLimit = 1 << 24;
  int32_t value_ = 0;
};

struct LogitCorrections {
  std::array<LogitCorrection, 3 * kMaxStages> flags;
  std::array<LogitCorrection, kMaxStages * kStageBits> bits;
};

}  // namespace bsq
