// Sizes of a sequence's pictures in samples, tokens, windows and blocks, computed once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/plane.h"
#include "bsq/bsq.h"

namespace bsq {

// The part of a picture that is entropy-coded on its own: windows [x_begin, x_end) x ...
struct Block {
  int x_begin = 0;
  int y_begin = 0;
  int x_end = 0;
  int y_end = 0;
};

struct Geometry {
  int width = 0;  // luma samples shown
  int height = 0;
  int chroma = BSQ_CHROMA_420;
  int bit_depth = 8;
  int plane_count = 3;
  int tokens_x = 0;
  int tokens_y = 0;
  int windows_x = 0;
  int windows_y = 0;
  std::vector<Block> blocks;

  // Sides are 1 .. 8192 already.
  static Geometry of(const bsq_sequence& sequence);

  int coded_width() const { return 8 * tokens_x; }
  int coded_height() const { return 8 * tokens_y; }
  int plane_width(int plane) const { return plane == 0 ? width : (width + 1) / 2; }
  int plane_height(int plane) const { return plane == 0 ? height : (height + 1) / 2; }
  size_t tokens() const { return static_cast<size_t>(tokens_x) * static_cast<size_t>(tokens_y); }
  size_t windows() const { return static_cast<size_t>(windows_x) * static_cast<size_t>(windows_y); }
  size_t window_index(int wx, int wy) const {
    return static_cast<size_t>(wy) * static_cast<size_t>(windows_x) + static_cast<size_t>(wx);
  }
  size_t token_index(int x, int y) const {
    return static_cast<size_t>(y) * static_cast<size_t>(tokens_x) + static_cast<size_t>(x);
  }

  // A frame of the coded size, all samples 0.
  Frame make_frame() const;
};

}  // namespace bsq
