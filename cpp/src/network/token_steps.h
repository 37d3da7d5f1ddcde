// The quantization step of every token of a layer: docs/numerics.md section 3.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/quant_step.h"
#include "base/tokens.h"

namespace bsq {

// q of the layer, moved by the delta q of the token's superblock; that of chroma is smaller by the
// stream's chroma crf offset, and more where q is large.
class TokenSteps {
 public:
  // The delta q of all superblocks are 0.
  TokenSteps(int q, int chroma_crf_offset) : q_(q), chroma_crf_offset_(chroma_crf_offset) {}
  // `delta_q`: one per superblock in raster order, `superblocks_x` a row; they must outlive the
  // object.
  TokenSteps(int q, int chroma_crf_offset, const int16_t* delta_q, int superblocks_x)
      : q_(q),
        chroma_crf_offset_(chroma_crf_offset),
        delta_q_(delta_q),
        superblocks_x_(superblocks_x) {}

  // q of the token in row y and column x, 0..568.
  int at(int y, int x) const {
    if (delta_q_ == nullptr) return q_;
    const int delta_q = delta_q_[static_cast<ptrdiff_t>(y / kSuperblockTokens) * superblocks_x_ +
                                 x / kSuperblockTokens];
    return std::clamp(q_ + kDeltaQUnit * delta_q, 0, kMaxQ);
  }
  // The same of its chroma samples.
  int chroma_at(int y, int x) const { return chroma_q(at(y, x), chroma_crf_offset_); }

 private:
  int q_;
  int chroma_crf_offset_;
  const int16_t* delta_q_ = nullptr;
  int superblocks_x_ = 0;
};

}  // namespace bsq
