// The VBV buffer (video buffering verifier): a model of the receiver's buffer.
#pragma once

#include <algorithm>
#include <cstdint>

#include "codec/encoder/rate/rate_plan.h"

namespace bsq {

// A receiver's buffer before its decoder: it fills at maxrate, loses the bits of
// every frame when that is due, and at `capacity` it is full, and the sender waits.
class VbvBuffer {
 public:
  explicit VbvBuffer(double capacity)
      : capacity_(capacity),
        fullness_(kStartFullness * capacity),
        min_fullness_(kStartFullness * capacity) {}

  double capacity() const { return capacity_; }
  double fullness() const { return fullness_; }
  double min_fullness() const { return min_fullness_; }
  // Frames whose bits were not complete when they were due.
  int64_t underflows() const { return underflows_; }

  void fill(double bits) { fullness_ = std::min(capacity_, fullness_ + bits); }
  void take(double bits) {
    fullness_ -= bits;
    if (fullness_ < 0) ++underflows_;
    min_fullness_ = std::min(min_fullness_, fullness_);
  }

 private:
  double capacity_;
  double fullness_;
  double min_fullness_;
  int64_t underflows_ = 0;
};

}  // namespace bsq
