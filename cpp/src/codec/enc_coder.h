// The coder of symbols.h that writes, and counts what the symbols cost.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "codec/enc_measure.h"
#include "entropy/bit_cost.h"
#include "entropy/enc_adaptive_bit.h"
#include "entropy/enc_range_coder.h"

namespace bsq {

// Ideal code lengths, the sums of -log2 p, in bits.
struct SymbolCosts {
  double motion = 0;
  double flags = 0;
  double tokens = 0;

  double all() const { return motion + flags + tokens; }

  SymbolCosts& operator+=(const SymbolCosts& other) {
    motion += other.motion;
    flags += other.flags;
    tokens += other.tokens;
    return *this;
  }
};

class EncCoder {
 public:
  static constexpr bool kLearns = true;
  static constexpr bool kKnows = true;

  bool adaptive(AdaptiveBit& model, bool bit) {
    *cost_ += bit_cost_q24(bit, model.probability());
    encode_adaptive(encoder_, model, bit);
    return bit;
  }
  int32_t number(SignedModels& models, int32_t value) {
    *cost_ += static_cast<uint64_t>(signed_cost_q12(models, value)) << 12;
    encode_signed(encoder_, models, value);
    return value;
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
  void tokens() { cost_ = &tokens_; }
  void token(int32_t, int) const {}

  SymbolCosts costs() const { return {in_bits(motion_), in_bits(flags_), in_bits(tokens_)}; }
  // Ends the code, whose bytes last until it ends again, and forgets the costs.
  std::span<const uint8_t> finish() {
    motion_ = flags_ = tokens_ = 0;
    return encoder_.finish();
  }

  EncCoder() = default;
  EncCoder(const EncCoder&) = delete;  // cost_ points into the object
  EncCoder& operator=(const EncCoder&) = delete;

 private:
  static double in_bits(uint64_t q24) { return static_cast<double>(q24) / (1 << 24); }

  RangeEncoder encoder_;
  uint64_t motion_ = 0;
  uint64_t flags_ = 0;
  uint64_t tokens_ = 0;
  uint64_t* cost_ = &flags_;
};

// A coder that writes nothing, settles the bits by what they cost (chosen_bit()), and bills every
// token for them.
class BillCoder {
 public:
  static constexpr bool kLearns = false;
  static constexpr bool kKnows = false;

  // z [active tokens, stride]: latents; z_per_bit: by how much a bit of cost moves the threshold,
  // in units of z. `bills`: bits by active token, in 2^-24, counted up.
  BillCoder(const std::vector<int8_t>& z, size_t stride, double z_per_bit,
            std::vector<uint64_t>& bills)
      : z_(z), stride_(stride), slope_(price_slope(z_per_bit)), bills_(bills) {}

  bool bit(uint32_t probability, bool) {
    const uint32_t one = bit_cost_q24(true, probability);
    const uint32_t zero = bit_cost_q24(false, probability);
    const bool chosen = chosen_bit(*z_at_++, slope_, one, zero);
    *bill_ += chosen ? one : zero;
    return chosen;
  }
  void checkpoint() const {}
  void tokens() const {}
  void token(int32_t index, int first) {
    bill_ = &bills_[static_cast<size_t>(index)];
    z_at_ = z_.data() + static_cast<size_t>(index) * stride_ + first;
  }

 private:
  const std::vector<int8_t>& z_;
  const size_t stride_;
  const int64_t slope_;
  std::vector<uint64_t>& bills_;
  uint64_t* bill_ = nullptr;
  const int8_t* z_at_ = nullptr;
};

}  // namespace bsq
