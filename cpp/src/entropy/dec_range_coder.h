// The decoder of the range coder (see range_coder.h).
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>

#include "entropy/range_coder.h"

namespace bsq {

// Decodes any bytes without reading out of bounds: past the end it takes zeros and counts them.
// A caller that decodes a number of symbols not bounded otherwise asks overrun() now and then, and
// every caller calls check_end() after the last symbol.
class RangeDecoder {
 public:
  // The bytes must outlive the decoder.
  explicit RangeDecoder(std::span<const uint8_t> bytes) : bytes_(bytes) {
    for (size_t i = 0; i < kCodeBytes; ++i) code_ = (code_ << 8) | next_byte();
    // Only here can the code lie outside of the range; decoding keeps it inside.
    invalid_ = code_ >= range_;
  }

  // The next bit; p is the probability that it is 1, in units of 2^-16, 1 .. 65535.
  bool decode(uint32_t p) {
    assert(p > 0 && p < kProbabilityOne);
    const uint32_t bound = range_bound(range_, p);
    const bool bit = code_ < bound;
    if (bit) {
      range_ = bound;
    } else {
      code_ -= bound;
      range_ -= bound;
    }
    while (range_ < kRangeMinimum) {
      range_ <<= 8;
      code_ = (code_ << 8) | next_byte();
    }
    return bit;
  }

  // `count` bits, 0 .. 32, at one bit each, highest first.
  uint32_t decode_bypass(int count) {
    uint32_t value = 0;
    while (count-- > 0) value = (value << 1) | (decode(kProbabilityHalf) ? 1U : 0U);
    return value;
  }

  // True if no encoder can have written these bytes for the symbols decoded so far.
  bool overrun() const { return invalid_ || implied_ > kMaxImpliedBytes; }

  // Bytes that decoding has not reached. After the last symbol of an intact code there are none.
  size_t unread() const { return bytes_.size() - position_; }

  // Whether the last symbol of an intact code was the last one decoded.
  bool ended() const { return !overrun() && unread() == 0; }

  // To be called after the last symbol: throws Error(BSQ_ERROR_BITSTREAM) if overrun() or if bytes
  // are left, with a message that begins with `what`, e.g. "packet 7, block 2".
  void check_end(const char* what) const;

 private:
  uint32_t next_byte() {
    if (position_ < bytes_.size()) return bytes_[position_++];
    ++implied_;
    return 0;
  }

  // Invariants between calls: 2^24 <= range_ < 2^32; code_ < range_ unless invalid_;
  // position_ <= bytes_.size(); position_ + implied_ = 4 + number of shifts.
  std::span<const uint8_t> bytes_;
  size_t position_ = 0;
  size_t implied_ = 0;  // zero bytes taken past the end
  uint32_t code_ = 0;
  uint32_t range_ = kRangeStart;
  bool invalid_ = false;
};

}  // namespace bsq
