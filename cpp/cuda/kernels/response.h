// New latents from the error of a decoded layer, as TokenizerResponse makes them
// (network/tokenizer.h).
#pragma once

#include "cuda/kernels/coded_tokens.h"
#include "network/response.h"

namespace bsq::cuda {

// The errors of one neighbour of every active token, as LinearKernel reads 16-bit values: 0 where
// there is none or it is not active. A thread makes one value.
struct ErrorVectorKernel {
  static constexpr int kThreads = 128;

  Planes source;
  Planes prediction;
  StepTable steps;
  const Position* positions;
  const int32_t* index;  // active token by place, or -1
  int rows;
  int tokens_x;
  int tokens_y;
  int dx;
  int dy;
  const int16_t* output;  // of the decoder network, [rows, output_pitch]
  int output_pitch;
  int8_t* out;  // [rows, 2, pitch]
  int pitch;

  constexpr int64_t items() const { return static_cast<int64_t>(rows) * pitch; }
  BSQ_DEVICE void item(int64_t i) const {
    const int64_t row = i / pitch;
    const auto value = static_cast<int>(i % pitch);
    store_split(error(positions[row], value), out + row * 2 * pitch + value, pitch);
  }

 private:
  BSQ_DEVICE int32_t error(const Position& token, int i) const {
    const int y = token.y + dy;
    const int x = token.x + dx;
    if (i >= kSampleVector || y < 0 || x < 0 || y >= tokens_y || x >= tokens_x) return 0;
    const int64_t row = index[y * tokens_x + x];
    if (row < 0) return 0;
    const Position at{static_cast<int16_t>(y), static_cast<int16_t>(x)};
    return response_error(residual(source, prediction, steps, at, i),
                          output[row * output_pitch + i]);
  }
};

// Latents from what bits would gain. A thread makes one.
struct ResponseKernel {
  static constexpr int kThreads = 128;

  const int16_t* gains;  // [rows, gain_pitch]
  int gain_pitch;
  const int16_t* energies;  // by bit
  int rows;
  const Position* positions;
  int tokens_x;
  int max_stages;
  TokenArrays tokens;
  int per_unit;
  const int32_t* latent_rows;  // by place
  int8_t* latents;             // [rows of the analysis, pitch]
  int pitch;

  constexpr int64_t items() const { return static_cast<int64_t>(rows) * 32 * max_stages; }
  BSQ_DEVICE void item(int64_t i) const {
    const int64_t row = i / (32 * max_stages);
    const auto bit = static_cast<int>(i % (32 * max_stages));
    const int64_t place = positions[row].y * tokens_x + positions[row].x;
    const int stage = bit / 32;
    const bool one = stage < tokens.stages[place] &&
                     (tokens.bits[place * max_stages + stage] >> (bit % 32) & 1) != 0;
    latents[int64_t{latent_rows[place]} * pitch + bit] =
        response_latent(gains[row * gain_pitch + bit], energies[bit], one, per_unit);
  }
};

}  // namespace bsq::cuda
