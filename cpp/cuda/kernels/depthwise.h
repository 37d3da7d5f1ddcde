// Depthwise convolution over listed tokens: docs/numerics.md section 2.
#pragma once

#include "cuda/thread_block.h"

namespace bsq::cuda {

// Where a token is; in raster order of the frame.
struct alignas(4) Position {
  int16_t y;
  int16_t x;
};

// Four values side by side of an array [rows, width], as one thread makes them.
struct Quad {
  int row;
  int first;
};
BSQ_DEVICE Quad quad_of(int64_t i, int width) {
  const int quads = width / 4;
  return {static_cast<int>(i / quads), static_cast<int>(i % quads) * 4};
}

// out[i] = rq8(dwconv5(x)) at the tokens of a list. A thread makes four channels of a token.
struct DepthwiseKernel {
  static constexpr int kThreads = 128;

  const int8_t* x;  // [active tokens, pitch]
  int pitch;        // of x and of out
  int rows;
  const int32_t* list;        // active token by row; null: the same
  const Position* positions;  // by active token
  const int32_t* index;       // active token by place, or -1
  const int16_t* area;        // number of the tile by place, beyond which all reads 0; or null
  int tokens_x;
  int tokens_y;
  const int8_t* w;  // [25, channels]
  const int32_t* b;
  const int32_t* m;
  int channels;
  int shift;
  int8_t* out;

  constexpr int64_t items() const { return static_cast<int64_t>(rows) * (channels / 4); }
  BSQ_DEVICE void item(int64_t quad) const {
    const auto [row, channel] = quad_of(quad, channels);
    const Position at = positions[list != nullptr ? list[row] : row];
    const int place = at.y * tokens_x + at.x;
    int32_t sums[4] = {b[channel], b[channel + 1], b[channel + 2], b[channel + 3]};
    for (int i = 0; i < 5; ++i) {
      const int y = at.y + i - 2;
      if (y < 0 || y >= tokens_y) continue;
      for (int j = 0; j < 5; ++j) {
        const int near = neighbour(place, y, at.x + j - 2);
        if (near < 0) continue;
        add(sums, x + static_cast<int64_t>(near) * pitch + channel,
            w + (i * 5 + j) * channels + channel);
      }
    }
    Bytes4 result;
    for (int c = 0; c < 4; ++c) result.values[c] = rq8(sums[c], m[channel + c], shift);
    *reinterpret_cast<Bytes4*>(out + static_cast<int64_t>(row) * pitch + channel) = result;
  }

 private:
  // The active token there, or -1 where zeros are read.
  BSQ_DEVICE int neighbour(int place, int y, int x_there) const {
    if (x_there < 0 || x_there >= tokens_x) return -1;
    const int there = y * tokens_x + x_there;
    if (area != nullptr && area[there] != area[place]) return -1;
    return index[there];
  }

  BSQ_DEVICE static void add(int32_t* sums, const int8_t* values, const int8_t* weights) {
    const Bytes4 v = *reinterpret_cast<const Bytes4*>(values);
    const Bytes4 f = *reinterpret_cast<const Bytes4*>(weights);
    for (int c = 0; c < 4; ++c) sums[c] += v.values[c] * f.values[c];
  }
};

}  // namespace bsq::cuda
