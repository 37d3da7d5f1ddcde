// Signed integers as adaptive bits (normative, docs/bitstream.md section 3.3).
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/status.h"
#include "entropy/range_coder.h"

namespace bsq {

// An integer v, |v| <= 32767, as far as it is known. Its bits are, with n = |v| and
// k = floor(log2 n): whether v is 0; if not, whether it is negative; k ones and a zero; the k low
// bits of n, highest first, which have no contexts.
class PartialNumber {
 public:
  static constexpr int kMaxPrefix = 14;
  // Numbers of bin().
  static constexpr size_t kZeroBin = 0;
  static constexpr size_t kSignBin = 1;
  static constexpr size_t kPrefixBin = 2;  // and those after it
  static constexpr size_t kBins = 12;

  bool done() const { return step_ == Step::kDone; }
  // Once it is done.
  int32_t value() const { return negative_ ? -high_ : high_; }
  // Whether a low bit comes next.
  bool is_low() const { return step_ == Step::kLow; }
  // Which other kind of bit comes next.
  size_t bin() const {
    if (step_ != Step::kPrefix) return step_ == Step::kZero ? kZeroBin : kSignBin;
    return std::min(kPrefixBin + static_cast<size_t>(prefix_), kBins - 1);
  }

  // What comes next if the integer is `value`: 0 or 1, or -1 if it cannot be that.
  int next(int32_t value) const {
    if (step_ == Step::kZero) return value == 0 ? 1 : 0;
    if (value == 0) return -1;
    if (step_ == Step::kSign) return value < 0 ? 1 : 0;
    if ((value < 0) != negative_) return -1;
    const auto n = static_cast<uint32_t>(value < 0 ? -value : value);
    if (step_ == Step::kLow) return static_cast<int>(n >> (left_ - 1) & 1);
    const int k = static_cast<int>(std::bit_width(n)) - 1;
    return k < prefix_ ? -1 : k > prefix_ ? 1 : 0;
  }

  // Throws Error(BSQ_ERROR_BITSTREAM) if the prefix becomes longer than can be.
  void append(bool bit) {
    switch (step_) {
      case Step::kZero:
        step_ = bit ? Step::kDone : Step::kSign;
        break;
      case Step::kSign:
        negative_ = bit;
        step_ = Step::kPrefix;
        break;
      case Step::kPrefix:
        append_prefix(bit);
        break;
      default:
        high_ = 2 * high_ + (bit ? 1 : 0);
        if (--left_ == 0) step_ = Step::kDone;
    }
  }

 private:
  enum class Step : uint8_t { kZero, kSign, kPrefix, kLow, kDone };

  void append_prefix(bool bit) {
    if (!bit) {
      high_ = 1;
      left_ = prefix_;
      step_ = left_ > 0 ? Step::kLow : Step::kDone;
    } else if (++prefix_ > kMaxPrefix) {
      throw Error(BSQ_ERROR_BITSTREAM,
                  "the entropy-coded data is damaged: a number has a prefix of more than 14 bits");
    }
  }

  Step step_ = Step::kZero;
  bool negative_ = false;
  int prefix_ = 0;    // k, or the ones so far
  int left_ = 0;      // low bits to come
  int32_t high_ = 0;  // the bits of n so far
};

// Codes an integer; `bit_of(const PartialNumber&)` is the adaptive bit that comes next.
template <class Coder, class Fn>
int32_t code_number(Coder& coder, int32_t value, const Fn& bit_of) {
  PartialNumber number;
  while (!number.done()) {
    const bool wanted = number.next(value) == 1;
    number.append(number.is_low() ? coder.bit(kProbabilityHalf, wanted)
                                  : coder.adaptive(bit_of(number), wanted));
  }
  return number.value();
}

}  // namespace bsq
