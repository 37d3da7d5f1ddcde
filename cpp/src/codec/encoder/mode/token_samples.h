// Samples of single tokens, for the encoder's decisions.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/plane.h"
#include "network/token_field.h"

namespace bsq {

// 64 luma samples in raster order, 16 of each chroma plane; gray frames have the middle value.
using TokenSamples = std::array<uint16_t, kSampleVector>;

inline TokenSamples token_samples(const Frame& frame, int y, int x) {
  TokenSamples samples;
  samples.fill(static_cast<uint16_t>(1 << (frame.bit_depth - 1)));
  uint16_t* to = samples.data();
  for (int p = 0; p < frame.plane_count; ++p) {
    const int size = p == 0 ? 8 : 4;
    const ConstPlaneView plane = frame.planes[p].view();
    for (int i = 0; i < size; ++i) {
      const uint16_t* row = plane.row(y * size + i) + x * size;
      for (int j = 0; j < size; ++j) *to++ = row[j];
    }
  }
  return samples;
}

struct TokenError {
  int64_t luma = 0;
  int64_t chroma = 0;

  int64_t all() const { return luma + chroma; }
};

// Sums of the squared differences of sums over 2x2, 4x4 and 8x8 luma samples.
inline std::array<int64_t, 3> squared_mean_errors(const TokenSamples& a, const TokenSamples& b) {
  std::array<int, 16> pairs{};
  for (size_t i = 0; i < 64; ++i) pairs[(i >> 4) * 4 + ((i & 7) >> 1)] += a[i] - b[i];
  std::array<int, 4> quarters{};
  std::array<int64_t, 3> sums{};
  for (size_t i = 0; i < pairs.size(); ++i) {
    sums[0] += int64_t{pairs[i]} * pairs[i];
    quarters[(i >> 3) * 2 + ((i & 3) >> 1)] += pairs[i];
  }
  int all = 0;
  for (const int quarter : quarters) {
    sums[1] += int64_t{quarter} * quarter;
    all += quarter;
  }
  sums[2] = int64_t{all} * all;
  return sums;
}

// Sums of squared differences.
inline TokenError squared_error(const TokenSamples& a, const TokenSamples& b) {
  constexpr size_t kLuma = 64;
  TokenError sum;
  for (size_t i = 0; i < a.size(); ++i) {
    const int d = a[i] - b[i];
    (i < kLuma ? sum.luma : sum.chroma) += d * d;
  }
  return sum;
}

// What the prediction misses of a token.
struct TokenDifference {
  int luma_sum = 0;  // of source less prediction
  TokenError error;

  TokenDifference() = default;
  TokenDifference(const TokenSamples& source, const TokenSamples& prediction)
      : error(squared_error(source, prediction)) {
    constexpr size_t kLuma = 64;
    for (size_t i = 0; i < kLuma; ++i) luma_sum += source[i] - prediction[i];
  }
};

// Those of a frame's tokens, measured again only where the prediction has changed.
struct DifferenceField {
  std::vector<TokenDifference> tokens;  // in raster order
  std::vector<uint8_t> stale;           // per token: 1 where it has to be measured

  void reset(size_t count) {
    tokens.resize(count);
    stale.assign(count, 1);
  }
};

}  // namespace bsq
