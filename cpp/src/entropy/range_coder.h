// The range coder for binary symbols: what encoder and decoder share, and how it works.
//
// A sequence of bits with probabilities becomes an interval [low, low + range) of numbers below 1,
// written as a fraction in base 256, and any fraction inside the interval stands for the sequence.
// Every symbol cuts the range in two:
//
//     bound = floor(range * p / 65536)         p = probability that the bit is 1, 1 .. 65535
//     bit 1:  range = bound
//     bit 0:  low += bound,  range -= bound
//
// Whenever range < 2^24, the leading byte of low goes out and low and range are shifted up by 8
// bits. The decoder knows code = fraction - low to 32 bits and finds bit 1 if code < bound.
//
// A range coder rather than ANS, because the probability of a bit depends on bits decoded before
// it: symbols have to come out in the order in which they went in.
//
// The end: of all fractions in the final interval the encoder takes the one with the most trailing
// zero bytes and does not write those, for the decoder reads zeros past the end. It removes at most
// kMaxImpliedBytes, so that a decoder that needs more than these knows that the data is damaged.
//
// Example: bits 1, 0, 1 with p = 49152 (3/4), 16384 (1/4), 256 (1/256).
//     start             low 00000000  range FFFFFFFF
//     1, bound BFFFFFFF low 00000000  range BFFFFFFF
//     0, bound 2FFFFFFF low 2FFFFFFF  range 90000000
//     1, bound 00900000 low 2FFFFFFF  range 00900000
//                       2F goes out, low FFFFFF00, range 90000000
//     end: the fraction 1.00000000 lies in the interval; its carry makes the 2F a 30, the rest is
//     zero bytes. The three bits, of 8.8 bits of information, are the single byte 30.
// The decoder reads code = 30000000 and finds 30000000 < BFFFFFFF: 1; 30000000 >= 2FFFFFFF: 0,
// code 00000001; 00000001 < 00900000: 1.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bsq {

constexpr int kProbabilityBits = 16;
constexpr uint32_t kProbabilityOne = uint32_t{1} << kProbabilityBits;
constexpr uint32_t kProbabilityHalf = kProbabilityOne / 2;

// Range at the start. One less than 2^32, which has no 32-bit representation.
constexpr uint32_t kRangeStart = 0xFFFFFFFF;
// Below this the range is shifted up by a byte.
constexpr uint32_t kRangeMinimum = uint32_t{1} << 24;

// Bytes of code that the decoder holds.
constexpr size_t kCodeBytes = 4;
// Zero bytes at the end that the encoder leaves out at most: those of the final code and a few
// before it. A decoder that has taken more zeros past the end reads data that no encoder wrote.
constexpr size_t kMaxImpliedBytes = kCodeBytes + 4;

// Both parts are at least 1: range >= 2^24 and 1 <= p <= 65535 give a bound from 2^8 to
// range - 2^8.
constexpr uint32_t range_bound(uint32_t range, uint32_t p) {
  return static_cast<uint32_t>((static_cast<uint64_t>(range) * p) >> kProbabilityBits);
}

}  // namespace bsq
