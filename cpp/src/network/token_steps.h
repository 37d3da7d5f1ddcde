// The quantization step of every token of a layer: docs/numerics.md section 3.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/tokens.h"

namespace bsq {

constexpr int kMaxStepIndex = 568;  // the largest q
constexpr int kStepOffset = 64;     // q of c = 0: q is the c of packets and this
constexpr int kMaxOffset = 16;      // offsets of windows lie within +- this
constexpr int kOffsetUnit = 8;      // what one of them adds to q
constexpr int kChromaKnee = 320;    // q up to which chroma has the step of luma

// q of the layer, moved by the offset of the token's window; that of chroma is smaller where q is
// large.
class TokenSteps {
 public:
  // The offsets of all windows are 0.
  TokenSteps(int q) : q_(q) {}  // NOLINT(google-explicit-constructor): a q is such a field
  // `offsets`: one per window in raster order, `windows_x` a row; they must outlive the object.
  TokenSteps(int q, const int16_t* offsets, int windows_x)
      : q_(q), offsets_(offsets), windows_x_(windows_x) {}

  // q of the token in row y and column x, 0..568.
  int at(int y, int x) const {
    if (offsets_ == nullptr) return q_;
    const int offset =
        offsets_[static_cast<ptrdiff_t>(y / kWindowTokens) * windows_x_ + x / kWindowTokens];
    return std::clamp(q_ + kOffsetUnit * offset, 0, kMaxStepIndex);
  }
  // q of the chroma samples of a token with that q.
  static int chroma(int q) { return q - (std::max(0, q - kChromaKnee) >> 1); }

 private:
  int q_;
  const int16_t* offsets_ = nullptr;
  int windows_x_ = 0;
};

}  // namespace bsq
