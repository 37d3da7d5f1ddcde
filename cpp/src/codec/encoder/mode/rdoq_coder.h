// RDO quantization of the bits of tokens: the coder of symbols.h that decides them by their rate.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "codec/common/symbol_coder.h"
#include "codec/encoder/mode/quantization.h"
#include "entropy/bit_cost.h"

namespace bsq {

// A coder that writes nothing, decides the bits by their rate (rdoq_bit()), and adds up the rate of
// every token.
class RdoqCoder {
 public:
  static constexpr bool kLearns = false;
  static constexpr bool kKnows = false;

  // z [active tokens, stride]: latents; z_per_bit: by how much a bit of cost moves the threshold,
  // in units of z. `token_rates`: bits by active token, in 2^-24, counted up.
  RdoqCoder(const std::vector<int8_t>& z, size_t stride, double z_per_bit,
            std::vector<uint64_t>& token_rates)
      : z_(z), stride_(stride), slope_(rdoq_slope(z_per_bit)), token_rates_(token_rates) {}

  bool bit(uint32_t probability, bool) {
    const uint32_t one = bit_cost_q24(true, probability);
    const uint32_t zero = bit_cost_q24(false, probability);
    const bool chosen = rdoq_bit(*z_at_++, slope_, one, zero);
    *rate_ += chosen ? one : zero;
    return chosen;
  }
  void checkpoint() const {}
  void tokens() const {}
  void token(int32_t index, int first) {
    rate_ = &token_rates_[static_cast<size_t>(index)];
    z_at_ = z_.data() + static_cast<size_t>(index) * stride_ + first;
  }

 private:
  const std::vector<int8_t>& z_;
  const size_t stride_;
  const int64_t slope_;
  std::vector<uint64_t>& token_rates_;
  uint64_t* rate_ = nullptr;
  const int8_t* z_at_ = nullptr;
};

static_assert(TokenCoder<RdoqCoder>);

}  // namespace bsq
