// Tokens on the device: stage counts and bits by place, and the vectors that networks read.
#pragma once

#include "cuda/kernels/depthwise.h"

namespace bsq::cuda {

// What the tokens of one layer hold, by place in raster order. Bits of stages that a token does not
// have mean nothing.
struct TokenArrays {
  uint8_t* stages;
  uint32_t* bits;  // [places, S]
};

// Token vectors (docs/numerics.md section 3) of listed tokens; a thread makes four values.
struct ExpandTokensKernel {
  static constexpr int kThreads = 128;

  TokenArrays tokens;
  int max_stages;
  int rows;
  const int32_t* list;  // active token by row; null: the same
  const Position* positions;
  int tokens_x;
  int8_t* out;  // [rows, pitch]
  int pitch;    // values from 33 * max_stages on are 0

  constexpr int64_t items() const { return static_cast<int64_t>(rows) * (pitch / 4); }
  BSQ_DEVICE void item(int64_t quad) const {
    const auto [row, first] = quad_of(quad, pitch);
    const Position at = positions[list != nullptr ? list[row] : row];
    const int64_t place = at.y * tokens_x + at.x;
    const int n = tokens.stages[place];
    const int stage = first / 32;
    const uint32_t word = stage < n ? tokens.bits[place * max_stages + stage] >> (first % 32) : 0;
    Bytes4 result;
    for (int i = 0; i < 4; ++i) {
      int value = ((word >> i) & 1) != 0 ? 64 : 0;
      if (stage >= max_stages && first + i - 32 * max_stages < n) value = 64;
      result.values[i] = static_cast<int8_t>(value);
    }
    *reinterpret_cast<Bytes4*>(out + static_cast<int64_t>(row) * pitch + first) = result;
  }
};

// Stage counts by active token to their places, and what the prior's groups see of a token of which
// no bit is known. A thread makes four values of the latter.
struct StoreStagesKernel {
  static constexpr int kThreads = 128;

  const uint8_t* counts;  // by active token
  int rows;
  const Position* positions;
  int tokens_x;
  uint8_t* stages;
  uint8_t* coded;          // by place: whether a layer of the frame had stages; or null
  const int8_t* presence;  // [S + 1, pitch]
  int8_t* out;             // [rows, pitch]
  int pitch;

  constexpr int64_t items() const { return static_cast<int64_t>(rows) * (pitch / 4); }
  BSQ_DEVICE void item(int64_t quad) const {
    const auto [row, at] = quad_of(quad, pitch);
    const int64_t from = static_cast<int64_t>(counts[row]) * pitch + at;
    *reinterpret_cast<Bytes4*>(out + static_cast<int64_t>(row) * pitch + at) =
        *reinterpret_cast<const Bytes4*>(presence + from);
    if (at != 0) return;
    const int64_t place = positions[row].y * tokens_x + positions[row].x;
    stages[place] = counts[row];
    if (coded != nullptr && counts[row] != 0) coded[place] = 1;
  }
};

// Bits of listed tokens to their places; a thread takes a word.
struct StoreBitsKernel {
  static constexpr int kThreads = 128;

  const uint32_t* words;  // [rows, S]
  int rows;
  const int32_t* list;  // active token by row
  const Position* positions;
  int tokens_x;
  int max_stages;
  uint32_t* bits;

  constexpr int64_t items() const { return static_cast<int64_t>(rows) * max_stages; }
  BSQ_DEVICE void item(int64_t i) const {
    const Position at = positions[list[i / max_stages]];
    const int64_t place = at.y * tokens_x + at.x;
    bits[place * max_stages + i % max_stages] = words[i];
  }
};

}  // namespace bsq::cuda
