// Which tokens of a frame are drawn, as text and windows are, and not taken by a camera: many of
// their samples are equal. Not normative.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/plane.h"
#include "base/thread_pool.h"

namespace bsq {

class DrawnTokens {
 public:
  // A drawn token has contrast, a plain one next to none; a dense one may be drawn.
  enum class Kind : uint8_t { kOther, kPlain, kDense, kDrawn };

  // Looks at the luma of a frame of whole tokens.
  void find(const Frame& source, ThreadPool& pool);

  // Whether drawn tokens are a good part of the frame; only then kinds tell something.
  bool is_screen() const { return is_screen_; }
  // Of a token in raster order; none is dense.
  Kind kind(size_t token) const { return kinds_[token]; }

 private:
  static constexpr size_t kScreenPart = 64;

  void settle_dense();
  size_t at(int x, int y) const {
    return static_cast<size_t>(y) * static_cast<size_t>(width_) + static_cast<size_t>(x);
  }

  int width_ = 0;
  int height_ = 0;
  std::vector<Kind> kinds_;
  bool is_screen_ = false;
};

}  // namespace bsq
