// Coded-token decision on the device: which tokens may have bits, what the encoder network reads of
// them, the signs of its latents. The arithmetic is that of
// codec/encoder/mode/distortion.h, as on the processor.
#pragma once

#include "codec/encoder/mode/distortion.h"
#include "codec/encoder/mode/quantization.h"
#include "cuda/kernels/samples.h"
#include "cuda/kernels/tokens.h"

namespace bsq::cuda {

// Steps of tokens with their values.
struct StepTable {
  Steps steps;
  const int32_t* values;  // by q
  int bit_depth;

  BSQ_DEVICE int64_t step(const Position& token, bool chroma) const {
    const int q = chroma ? steps.chroma_at(token.y, token.x) : steps.at(token.y, token.x);
    return int64_t{values[q]} << (bit_depth - 8);
  }
  BSQ_DEVICE TokenScale scale(const Position& token) const {
    return {TokenScale::of_step(values[steps.at(token.y, token.x)], bit_depth),
            TokenScale::of_step(values[steps.chroma_at(token.y, token.x)], bit_depth)};
  }
};

// The coded-token decision: tokens whose residual energy is high enough. A
// block takes a superblock, eight threads a token.
struct CodedTokensKernel {
  static constexpr int kThreads = 128;
  static constexpr int kTokens = 16;
  static constexpr int kParts = kThreads / kTokens;
  struct Shared {
    int32_t sums[kTokens][kParts];
    int64_t luma[kTokens][kParts];
    int64_t chroma[kTokens][kParts];
  };
  struct Local {};

  Planes source;
  Planes prediction;
  StepTable steps;
  double energy;
  double mean_limit;
  const uint8_t* sample_coded;  // by place, not 0: no bits; null: none
  int tokens_x;
  int tokens_y;
  int superblocks_x;
  int superblocks_y;
  uint8_t* stages;  // by place: 1 or 0

  int64_t blocks() const { return static_cast<int64_t>(superblocks_x) * superblocks_y; }

  template <class Block>
  BSQ_DEVICE void run(Block& block) const {
    block.each([&](int thread, Local&) { measure(thread, block.index(), block.shared()); });
    block.each_apart([&](int thread, Local&) {
      const Position token = position(thread, block.index());
      if (thread >= kTokens || token.x >= tokens_x || token.y >= tokens_y) return;
      const Shared& shared = block.shared();
      int32_t sum = 0;
      int64_t luma = 0;
      int64_t chroma = 0;
      for (int i = 0; i < kParts; ++i) {
        sum += shared.sums[thread][i];
        luma += shared.luma[thread][i];
        chroma += shared.chroma[thread][i];
      }
      const double found = token_energy(sum, luma, chroma, steps.scale(token), mean_limit);
      const int place = token.y * tokens_x + token.x;
      const bool stays = sample_coded != nullptr && sample_coded[place] != 0;
      stages[place] = !stays && found >= energy ? 1 : 0;
    });
  }

 private:
  BSQ_DEVICE Position position(int token, int superblock) const {
    return {static_cast<int16_t>(superblock / superblocks_x * 4 + token / 4),
            static_cast<int16_t>(superblock % superblocks_x * 4 + token % 4)};
  }

  // Part i of a token: row i of its luma, and four samples of its chroma.
  BSQ_DEVICE void measure(int thread, int superblock, Shared& shared) const {
    const int token = thread / kParts;
    const int part = thread % kParts;
    const Position at = position(token, superblock);
    if (at.x >= tokens_x || at.y >= tokens_y) return;
    int32_t sum = 0;
    int64_t luma = 0;
    int64_t chroma = 0;
    for (int i = 0; i < 8; ++i) {
      const int32_t d = difference(at, part * 8 + i);
      sum += d;
      luma += d * d;
    }
    for (int i = 0; i < 4; ++i) {
      const int32_t d = difference(at, 64 + part * 4 + i);
      chroma += d * d;
    }
    shared.sums[token][part] = sum;
    shared.luma[token][part] = luma;
    shared.chroma[token][part] = chroma;
  }

  BSQ_DEVICE int32_t difference(const Position& token, int i) const {
    const SamplePlace p = sample_place(token, i);
    if (p.plane >= source.count) return 0;
    return source.at(p.plane, p.x, p.y) - prediction.at(p.plane, p.x, p.y);
  }
};

// A flag per superblock: whether a token of it has stages. A thread takes a superblock.
struct MarkKernel {
  static constexpr int kThreads = 128;

  const uint8_t* stages;  // by place
  int tokens_x;
  int tokens_y;
  int superblocks_x;
  int superblocks_y;
  uint8_t* superblocks;

  constexpr int64_t items() const { return static_cast<int64_t>(superblocks_x) * superblocks_y; }
  BSQ_DEVICE void item(int64_t i) const {
    const auto superblock = static_cast<int>(i);
    const int x_first = superblock % superblocks_x * 4;
    const int y_first = superblock / superblocks_x * 4;
    uint8_t any = 0;
    for (int y = y_first; y < y_first + 4 && y < tokens_y; ++y) {
      for (int x = x_first; x < x_first + 4 && x < tokens_x; ++x) {
        if (stages[y * tokens_x + x] != 0) any = 1;
      }
    }
    superblocks[superblock] = any;
  }
};

// Value i of a token's residual vector (docs/numerics.md section 3).
BSQ_DEVICE int32_t residual(const Planes& source, const Planes& prediction, const StepTable& steps,
                            const Position& token, int i) {
  const SamplePlace p = sample_place(token, i);
  if (p.plane >= source.count) return 0;
  const int64_t step = steps.step(token, p.plane > 0);
  const int64_t d = source.at(p.plane, p.x, p.y) - prediction.at(p.plane, p.x, p.y);
  const int64_t scaled = d * 65536 + step / 2;
  return saturate(scaled >= 0 ? scaled / step : -((step - 1 - scaled) / step), 32767);
}

// What the encoder network reads of the active tokens: residual vectors, and after them the side
// vectors; 16-bit values as LinearKernel reads them. A thread makes one value.
struct FeaturesKernel {
  static constexpr int kThreads = 224;
  static constexpr int kResidual = 96;
  static constexpr int kValues = kResidual + SideKernel::kValues;
  struct Shared {};
  struct Local {};

  Planes source;
  Planes prediction;
  StepTable steps;
  const Position* positions;
  int rows;
  const int8_t* side;  // [rows, 2, side_pitch]
  int side_pitch;
  int8_t* out;  // [rows, 2, pitch]
  int pitch;

  int64_t blocks() const { return rows; }

  template <class Block>
  BSQ_DEVICE void run(Block& block) const {
    block.each_apart([&](int thread, Local&) {
      if (thread >= kValues) return;
      const int64_t row = block.index();
      int8_t* to = out + row * 2 * pitch + thread;
      if (thread >= kResidual) {
        const int8_t* from = side + row * 2 * side_pitch + (thread - kResidual);
        to[0] = from[0];
        to[pitch] = from[side_pitch];
        return;
      }
      store_split(residual(source, prediction, steps, positions[row], thread), to, pitch);
    });
  }
};

// The signs of latents as the bits of the coded tokens. A thread makes the bits of a stage.
struct SignsKernel {
  static constexpr int kThreads = 128;

  const int8_t* latents;  // [rows, pitch]
  int pitch;
  int rows;
  const Position* positions;
  int tokens_x;
  int max_stages;
  TokenArrays tokens;

  constexpr int64_t items() const { return static_cast<int64_t>(rows) * max_stages; }
  BSQ_DEVICE void item(int64_t i) const {
    const Position at = positions[i / max_stages];
    const int64_t place = at.y * tokens_x + at.x;
    if (tokens.stages[place] == 0) return;
    const int64_t stage = i % max_stages;
    const int8_t* z = latents + i / max_stages * pitch + stage * 32;
    uint32_t word = 0;
    for (int k = 0; k < 32; ++k) word |= static_cast<uint32_t>(z[k] >= 0) << k;
    tokens.bits[place * max_stages + stage] = word;
  }
};

// The stage counts of the active tokens: up to the last stage with a bit that is 1. A thread takes
// a token.
struct CountKernel {
  static constexpr int kThreads = 128;

  int rows;
  const Position* positions;
  int tokens_x;
  int max_stages;
  bool candidates;  // the stages are no counts yet, but 1 where there may be bits
  TokenArrays tokens;

  constexpr int64_t items() const { return rows; }
  BSQ_DEVICE void item(int64_t row) const {
    const int64_t place = positions[row].y * tokens_x + positions[row].x;
    int n = tokens.stages[place];
    if (candidates && n != 0) n = max_stages;
    while (n > 0 && tokens.bits[place * max_stages + n - 1] == 0) --n;
    tokens.stages[place] = static_cast<uint8_t>(n);
  }
};

}  // namespace bsq::cuda
