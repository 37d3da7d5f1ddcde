// The encoder of the range coder (see range_coder.h).
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "entropy/range_coder.h"

namespace bsq {

class RangeEncoder {
 public:
  // Codes a bit; p is the probability that it is 1, in units of 2^-16, 1 .. 65535.
  void encode(bool bit, uint32_t p) {
    assert(p > 0 && p < kProbabilityOne);
    const uint32_t bound = range_bound(range_, p);
    if (bit) {
      range_ = bound;
    } else {
      low_ += bound;
      range_ -= bound;
    }
    while (range_ < kRangeMinimum) {
      range_ <<= 8;
      shift_low();
    }
  }

  // Codes the low `count` bits of `value`, highest first, at one bit each; count is 0 .. 32.
  void encode_bypass(uint32_t value, int count) {
    while (count-- > 0) encode(((value >> count) & 1) != 0, kProbabilityHalf);
  }

  // Bits that the symbols so far take, flush excluded, to within rounding of the logarithm.
  // Differences of this are what the symbols in between cost.
  double bits() const;

  // Ends the code, returns its bytes, which last until the next call, and starts anew. No symbols
  // make no bytes.
  std::span<const uint8_t> finish();

 private:
  // Moves the leading byte out of low_. It can still change by a carry, and so can a run of FF
  // bytes after it: these wait until a byte comes that stops carries.
  void shift_low() {
    if (low_ < 0xFF000000 || low_ > 0xFFFFFFFF) {
      write_waiting();
      waiting_byte_ = static_cast<uint8_t>(low_ >> 24);
    } else {
      ++waiting_ff_;
    }
    low_ = (low_ & 0x00FFFFFF) << 8;
  }

  void write_waiting();

  // Invariants between calls:
  //   2^24 <= range_ < 2^32;
  //   low_ < 2^32 + 2^32 - range_, bit 32 being a carry into the bytes that wait;
  //   the code so far is bytes_, waiting_byte_, waiting_ff_ times FF, then the 4 bytes of low_.
  // The first waiting byte stands before the point of the fraction: it is always zero, no carry
  // reaches it since the fraction is below 1, and it is not written.
  uint64_t low_ = 0;
  uint32_t range_ = kRangeStart;
  uint8_t waiting_byte_ = 0;
  bool waiting_is_integer_part_ = true;
  uint64_t waiting_ff_ = 0;
  std::vector<uint8_t> bytes_;
  std::vector<uint8_t> finished_;  // of the last code
};

}  // namespace bsq
