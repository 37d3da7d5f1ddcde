// What coding a bit costs, for the encoder's decisions and for statistics. Not normative.
#pragma once

#include <bit>
#include <cstdint>

#include "entropy/range_coder.h"

namespace bsq {

constexpr int kCostTableBits = 10;
// kLog2Q24[i] = round(2^24 * log2(1 + i / 1024)).
extern const uint32_t kLog2Q24[(1 << kCostTableBits) + 1];

// -log2(p / 65536) in units of 2^-24 bit, for p in 1 .. 65535. Linear between table entries, off
// by less than 2^-21 bit. Integers only, so that encoders choose alike on all machines.
// `table`: kLog2Q24, or a copy of it where that is out of reach.
constexpr uint32_t symbol_cost_q24(uint32_t p, const uint32_t* table) {
  const int exponent = static_cast<int>(std::bit_width(p)) - 1;
  const uint32_t mantissa = (p << (15 - exponent)) & 0x7FFF;  // fraction of p / 2^exponent, Q15
  const uint32_t index = mantissa >> (15 - kCostTableBits);
  const uint32_t part = mantissa & ((1U << (15 - kCostTableBits)) - 1);
  const uint32_t step = table[index + 1] - table[index];
  const uint32_t log2_q24 = table[index] + ((step * part) >> (15 - kCostTableBits));
  return (static_cast<uint32_t>(kProbabilityBits - exponent) << 24) - log2_q24;
}

// Cost of a bit when p, in 1 .. 65535, is the probability that it is 1.
constexpr uint32_t bit_cost_q24(bool bit, uint32_t p, const uint32_t* table) {
  return symbol_cost_q24(bit ? p : kProbabilityOne - p, table);
}
inline uint32_t bit_cost_q24(bool bit, uint32_t p) { return bit_cost_q24(bit, p, kLog2Q24); }

// The same in units of 2^-12 bit, which leaves room for sums in 32 bits.
inline uint32_t bit_cost_q12(bool bit, uint32_t p) { return (bit_cost_q24(bit, p) + 2048) >> 12; }

// The same in bits.
inline double bit_cost(bool bit, uint32_t p) {
  return static_cast<double>(bit_cost_q24(bit, p)) / (1 << 24);
}

}  // namespace bsq
