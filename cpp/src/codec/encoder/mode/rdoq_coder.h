// RDO quantization of the bits of tokens: the coder of symbols.h that decides them by their rate.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "codec/encoder/mode/quantization.h"
#include "entropy/bit_cost.h"

namespace bsq {

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
