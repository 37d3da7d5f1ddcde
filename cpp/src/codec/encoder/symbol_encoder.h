// The coder of symbols.h that writes, and counts what the symbols cost.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "codec/common/symbol_coder.h"
#include "entropy/bit_cost.h"
#include "entropy/enc_range_coder.h"

namespace bsq {

// Ideal code lengths, the sums of -log2 p, in bits.
struct SymbolCosts {
  double motion = 0;
  double flags = 0;
  double delta_q = 0;
  double samples = 0;
  double tokens = 0;

  double all() const { return motion + flags + delta_q + samples + tokens; }

  SymbolCosts& operator+=(const SymbolCosts& other) {
    motion += other.motion;
    flags += other.flags;
    delta_q += other.delta_q;
    samples += other.samples;
    tokens += other.tokens;
    return *this;
  }
};

class SymbolEncoder {
 public:
  static constexpr bool kLearns = true;
  static constexpr bool kKnows = true;

  template <class Bit>
  bool adaptive(Bit&& context, bool bit) {
    *cost_ += bit_cost_q24(bit, context.probability());
    encoder_.encode(bit, context.probability());
    context.update(bit);
    return bit;
  }
  bool bit(uint32_t probability, bool bit) {
    *cost_ += bit_cost_q24(bit, probability);
    encoder_.encode(bit, probability);
    return bit;
  }
  void checkpoint() const {}

  // What the symbols from here on count as.
  void motion() { cost_ = &motion_; }
  void flags() { cost_ = &flags_; }
  void delta_q() { cost_ = &delta_q_; }
  void samples() { cost_ = &samples_; }
  void tokens() { cost_ = &tokens_; }
  void token(int32_t, int) const {}

  SymbolCosts costs() const {
    return {in_bits(motion_), in_bits(flags_), in_bits(delta_q_), in_bits(samples_),
            in_bits(tokens_)};
  }
  // Ends the code, whose bytes last until it ends again, and forgets the costs.
  std::span<const uint8_t> finish() {
    motion_ = flags_ = delta_q_ = samples_ = tokens_ = 0;
    return encoder_.finish();
  }

  SymbolEncoder() = default;
  SymbolEncoder(const SymbolEncoder&) = delete;  // cost_ points into the object
  SymbolEncoder& operator=(const SymbolEncoder&) = delete;

 private:
  static double in_bits(uint64_t q24) { return static_cast<double>(q24) / (1 << 24); }

  RangeEncoder encoder_;
  uint64_t motion_ = 0;
  uint64_t flags_ = 0;
  uint64_t delta_q_ = 0;
  uint64_t samples_ = 0;
  uint64_t tokens_ = 0;
  uint64_t* cost_ = &flags_;
};

static_assert(SymbolCoder<SymbolEncoder>);

}  // namespace bsq
