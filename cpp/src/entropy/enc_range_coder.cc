// The parts of the range encoder that run once per byte or once per block.
#include "entropy/enc_range_coder.h"

#include <cmath>
#include <utility>

namespace bsq {

void RangeEncoder::write_waiting() {
  const uint8_t carry = static_cast<uint8_t>(low_ >> 32);
  if (waiting_is_integer_part_) {
    assert(carry == 0);
    waiting_is_integer_part_ = false;
  } else {
    bytes_.push_back(static_cast<uint8_t>(waiting_byte_ + carry));
  }
  // With a carry FF becomes 00.
  bytes_.insert(bytes_.end(), static_cast<size_t>(waiting_ff_), static_cast<uint8_t>(0xFF + carry));
  waiting_ff_ = 0;
}

double RangeEncoder::bits() const {
  const double bytes = static_cast<double>(bytes_.size()) + static_cast<double>(waiting_ff_) +
                       (waiting_is_integer_part_ ? 0.0 : 1.0);
  return 8.0 * bytes + 32.0 - std::log2(static_cast<double>(range_));
}

std::span<const uint8_t> RangeEncoder::finish() {
  // The multiple of the highest power of 256 in [low, low + range). 2^24 always has one.
  for (int zero_bytes = 4; zero_bytes >= 3; --zero_bytes) {
    const uint64_t unit = uint64_t{1} << (8 * zero_bytes);
    const uint64_t value = (low_ + unit - 1) & ~(unit - 1);
    if (value < low_ + range_) {
      low_ = value;
      break;
    }
  }
  // Four bytes of low, and one more to write what waits.
  for (int i = 0; i < 5; ++i) shift_low();

  size_t implied = 0;
  while (implied < kMaxImpliedBytes && !bytes_.empty() && bytes_.back() == 0) {
    bytes_.pop_back();
    ++implied;
  }
  std::swap(bytes_, finished_);
  bytes_.clear();
  low_ = 0;
  range_ = kRangeStart;
  waiting_byte_ = 0;
  waiting_is_integer_part_ = true;
  waiting_ff_ = 0;
  return finished_;
}

}  // namespace bsq
