// Binary quantization of the tokenizer's latents: by sign, or rate-distortion optimized (RDOQ) by
// the cost of each bit. For the processor and for devices; not normative.
#pragma once

#include <cstdint>

#include "network/token_field.h"

namespace bsq {

// Bit i is 1 where z[i] is not negative. Eight at a time: the factor brings the lowest bit of byte
// i to bit i of the highest byte, and no two bits to one place.
inline uint32_t signs(const int8_t z[kStageBits]) {
  uint32_t word = 0;
  for (int i = 0; i < kStageBits; i += 8) {
    uint64_t bytes = 0;
    for (int k = 0; k < 8; ++k) bytes |= uint64_t{static_cast<uint8_t>(z[i + k])} << (8 * k);
    const uint64_t positive = (~bytes >> 7) & 0x0101010101010101U;
    word |= static_cast<uint32_t>((positive * 0x0102040810204080U) >> 56) << i;
  }
  return word;
}

// 2^-24 bits in bits.
constexpr double bits_of(uint64_t q24) { return static_cast<double>(q24) / (1 << 24); }

// The slope of rdoq_bit() where a bit of cost moves the threshold by `per_bit` units of z.
constexpr int64_t rdoq_slope(double per_bit) { return static_cast<int64_t>(per_bit * 256); }

// RDO quantization of a bit: 1 where the latent z says so by more than its rate. In a quadratic
// error, a 1 that costs dR bits more than a 0 has to bring lambda * dR, which moves the threshold
// of z in proportion. `slope`: by how much a bit of cost moves it, in 256ths of a unit of z; costs
// in 2^-24 bits.
constexpr bool rdoq_bit(int z, int64_t slope, uint32_t cost_of_one, uint32_t cost_of_zero) {
  const int64_t more = int64_t{cost_of_one} - int64_t{cost_of_zero};
  return (int64_t{z} << 32) >= slope * more;
}

}  // namespace bsq
