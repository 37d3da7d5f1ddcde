// Rate-distortion optimization of tokens on the device: RDO quantization of bits, zeroing out, and
// the choice among RD trials by the lowest cost.
#pragma once

#include "cuda/kernels/coded_tokens.h"
#include "entropy/bit_cost.h"
#include "entropy/logistic.h"

namespace bsq::cuda {

// RDO quantization of the bits of a sub-group, as RdoqCoder does it
// (codec/encoder/mode/rdoq_coder.h). A thread takes a token.
struct RdoqKernel {
  static constexpr int kThreads = 128;
  static constexpr int kBits = 8;

  const int16_t* logits;  // [rows, 8]
  int rows;
  const int32_t* slots;  // place in `list` by row
  const int32_t* list;   // active token
  const Position* positions;
  int tokens_x;
  int max_stages;
  int stage;
  int subgroup;
  const int16_t* pair;         // [8, 8]
  const int32_t* corrections;  // [tiles, 32 S]: what is added to the logits
  const int16_t* area;         // number of the tile by place
  const int8_t* latents;       // [rows of the analysis, pitch]
  int pitch;
  const int32_t* latent_rows;  // by place
  int64_t slope;               // see rdoq_bit()
  const uint16_t* logistic;    // tables of entropy/logistic.h and bit_cost.h
  const uint32_t* log2;
  uint32_t* bits;         // [places, S]
  uint64_t* token_rates;  // by place

  constexpr int64_t items() const { return rows; }
  BSQ_DEVICE void item(int64_t row) const {
    const Position at = positions[list[slots[row]]];
    const int64_t place = at.y * tokens_x + at.x;
    const int first = stage * 32 + subgroup * kBits;
    const int8_t* z = latents + static_cast<int64_t>(latent_rows[place]) * pitch + first;
    const int32_t* correction = corrections + int64_t{area[place]} * 32 * max_stages + first;
    int32_t sums[kBits];
    for (int i = 0; i < kBits; ++i) sums[i] = logits[row * kBits + i];
    uint32_t byte = 0;
    uint64_t rate = 0;
    for (int i = 0; i < kBits; ++i) {
      const uint32_t p = probability_from_logit(sums[i] + correction[i], logistic);
      const uint32_t one = bit_cost_q24(true, p, log2);
      const uint32_t zero = bit_cost_q24(false, p, log2);
      const bool chosen = rdoq_bit(z[i], slope, one, zero);
      rate += chosen ? one : zero;
      if (!chosen) continue;
      byte |= 1U << i;
      for (int k = i + 1; k < kBits; ++k) sums[k] += pair[i * kBits + k];
    }
    uint32_t& word = bits[place * max_stages + stage];
    const int shift = subgroup * kBits;
    word = (word & ~(0xFFU << shift)) | byte << shift;
    token_rates[place] += rate;
  }
};

// A way to code the active tokens: tokens, the decoder network's output for them, and their
// rates.
struct TokenCoding {
  TokenArrays tokens;
  const int16_t* output;        // [rows, pitch]
  const uint64_t* token_rates;  // by place
};

// The errors of a token under two outputs of the decoder network; without an output, that of the
// prediction. 96 threads share their sums.
struct TokenErrors {
  static constexpr int kSamples = 96;
  static constexpr int kParts = 16;
  int32_t errors[2][kSamples];
  int32_t pairs[2][kParts];  // sums over 2x2 luma samples
  int64_t luma[2][kParts];
  int64_t chroma[2][kParts];
};

struct TokenDistortion {
  Planes source;
  Planes prediction;
  StepTable steps;
  double weights[3];

  BSQ_DEVICE void measure(const Position& token, int i, const int16_t* const outputs[2],
                          TokenErrors& shared) const {
    const SamplePlace p = sample_place(token, i);
    for (int o = 0; o < 2; ++o) {
      int32_t error = 0;
      // A gray frame drops the network's chroma.
      if (p.plane < source.count) {
        int32_t sample = prediction.at(p.plane, p.x, p.y);
        if (outputs[o] != nullptr) {
          const int64_t step = steps.step(token, p.plane > 0);
          sample = reconstructed(sample, outputs[o][i], step, source.largest());
        }
        error = source.at(p.plane, p.x, p.y) - sample;
      }
      shared.errors[o][i] = error;
    }
  }

  // Of part i of the first output or of the second.
  BSQ_DEVICE void sum_part(int i, TokenErrors& shared) const {
    const int o = i / TokenErrors::kParts;
    const int part = i % TokenErrors::kParts;
    const int32_t* errors = shared.errors[o];
    const int32_t* corner = errors + part / 4 * 16 + part % 4 * 2;
    shared.pairs[o][part] = corner[0] + corner[1] + corner[8] + corner[9];
    int64_t luma = 0;
    for (int j = 0; j < 4; ++j) luma += errors[part * 4 + j] * errors[part * 4 + j];
    int64_t chroma = 0;
    for (int j = 0; j < 2; ++j) chroma += errors[64 + part * 2 + j] * errors[64 + part * 2 + j];
    shared.luma[o][part] = luma;
    shared.chroma[o][part] = chroma;
  }

  BSQ_DEVICE double weigh(const Position& token, int o, const TokenErrors& shared) const {
    int64_t luma = 0;
    int64_t chroma = 0;
    int64_t means[3] = {0, 0, 0};
    int64_t quarters[4] = {0, 0, 0, 0};
    for (int i = 0; i < TokenErrors::kParts; ++i) {
      const int64_t pair = shared.pairs[o][i];
      luma += shared.luma[o][i];
      chroma += shared.chroma[o][i];
      means[0] += pair * pair;
      quarters[i / 8 * 2 + i % 4 / 2] += pair;
    }
    int64_t all = 0;
    for (const int64_t quarter : quarters) {
      means[1] += quarter * quarter;
      all += quarter;
    }
    means[2] = all * all;
    return weighted_error(luma, chroma, means, steps.scale(token), weights);
  }
};

// Zeroes out tokens whose RD cost is lower without bits. A block takes an active token.
struct ZeroOutKernel {
  static constexpr int kThreads = TokenErrors::kSamples;
  struct Shared {
    TokenErrors errors;
  };
  struct Local {};

  TokenDistortion distortion;
  TokenCoding trial;
  int pitch;  // of outputs
  const Position* positions;
  int rows;
  int tokens_x;
  double lambda;
  double flag_bits;
  uint8_t* changed;  // becomes 1 where a token is zeroed out

  int64_t blocks() const { return rows; }

  template <class Block>
  BSQ_DEVICE void run(Block& block) const {
    const Position token = positions[block.index()];
    const int64_t place = token.y * tokens_x + token.x;
    const int16_t* outputs[2] = {nullptr,
                                 trial.output + static_cast<int64_t>(block.index()) * pitch};
    block.each([&](int thread, Local&) {
      distortion.measure(token, thread, outputs, block.shared().errors);
    });
    block.each([&](int thread, Local&) {
      if (thread < 2 * TokenErrors::kParts) distortion.sum_part(thread, block.shared().errors);
    });
    block.each_apart([&](int thread, Local&) {
      if (thread != 0 || trial.tokens.stages[place] == 0) return;
      const double gain = distortion.weigh(token, 0, block.shared().errors) -
                          distortion.weigh(token, 1, block.shared().errors);
      if (gain >= lambda * (bits_of(trial.token_rates[place]) + flag_bits)) return;
      trial.tokens.stages[place] = 0;
      *changed = 1;
    });
  }
};

// Takes every token of a trial over into the best one so far that has a lower RD cost. A block
// takes an active token.
struct LowerCostKernel {
  static constexpr int kThreads = TokenErrors::kSamples;
  struct Shared {
    TokenErrors errors;
    int32_t better;
  };
  struct Local {};

  TokenDistortion distortion;
  TokenCoding trial;
  TokenArrays best;
  int16_t* best_output;
  uint64_t* best_rates;
  int pitch;  // of outputs
  const Position* positions;
  int rows;
  int tokens_x;
  int max_stages;
  double lambda;

  int64_t blocks() const { return rows; }

  template <class Block>
  BSQ_DEVICE void run(Block& block) const {
    const Position token = positions[block.index()];
    const int64_t place = token.y * tokens_x + token.x;
    const int64_t row = static_cast<int64_t>(block.index()) * pitch;
    const int16_t* outputs[2] = {best_output + row, trial.output + row};
    block.each([&](int thread, Local&) {
      distortion.measure(token, thread, outputs, block.shared().errors);
    });
    block.each([&](int thread, Local&) {
      if (thread < 2 * TokenErrors::kParts) distortion.sum_part(thread, block.shared().errors);
    });
    block.each([&](int thread, Local&) {
      if (thread != 0) return;
      const double now =
          distortion.weigh(token, 0, block.shared().errors) + lambda * bits_of(best_rates[place]);
      const double other = distortion.weigh(token, 1, block.shared().errors) +
                           lambda * bits_of(trial.token_rates[place]);
      block.shared().better = trial.tokens.stages[place] != 0 && other < now ? 1 : 0;
    });
    block.each_apart([&](int thread, Local&) {
      if (block.shared().better == 0) return;
      best_output[row + thread] = trial.output[row + thread];
      if (thread < trial.tokens.stages[place]) {
        best.bits[place * max_stages + thread] = trial.tokens.bits[place * max_stages + thread];
      }
      if (thread != 0) return;
      best.stages[place] = trial.tokens.stages[place];
      best_rates[place] = trial.token_rates[place];
    });
  }
};

// The sum of squared differences of each row of luma shown. A block takes a row.
struct ErrorKernel {
  static constexpr int kThreads = 128;
  struct Shared {
    int64_t sums[kThreads];
  };
  struct Local {};

  Planes a;
  Planes b;
  int width;
  int height;
  int64_t* out;

  int64_t blocks() const { return height; }

  template <class Block>
  BSQ_DEVICE void run(Block& block) const {
    block.each([&](int thread, Local&) {
      int64_t sum = 0;
      for (int x = thread; x < width; x += kThreads) {
        const int32_t d = a.at(0, x, block.index()) - b.at(0, x, block.index());
        sum += d * d;
      }
      block.shared().sums[thread] = sum;
    });
    block.each_apart([&](int thread, Local&) {
      if (thread != 0) return;
      int64_t sum = 0;
      for (int i = 0; i < kThreads; ++i) sum += block.shared().sums[i];
      out[block.index()] = sum;
    });
  }
};

// The source of a base frame: means of 8x8 samples, edges repeated. A thread makes a sample.
struct ShrinkKernel {
  static constexpr int kThreads = 128;
  static constexpr int kScale = 8;

  Planes from;
  Planes to;
  int plane;
  int width;  // samples that are means; those beyond repeat the last ones
  int height;

  constexpr int64_t items() const {
    return static_cast<int64_t>(to.width[plane]) * to.height[plane];
  }
  BSQ_DEVICE void item(int64_t i) const {
    const auto x = static_cast<int>(i % to.width[plane]);
    const auto y = static_cast<int>(i / to.width[plane]);
    to.at(plane, x, y) = mean(clamp(x, 0, width - 1) * kScale, clamp(y, 0, height - 1) * kScale);
  }

 private:
  BSQ_DEVICE uint16_t mean(int x_first, int y_first) const {
    const int x_end = clamp(x_first + kScale, 0, from.width[plane]);
    const int y_end = clamp(y_first + kScale, 0, from.height[plane]);
    int32_t sum = 0;
    for (int y = y_first; y < y_end; ++y) {
      for (int x = x_first; x < x_end; ++x) sum += from.at(plane, x, y);
    }
    const int32_t count = (x_end - x_first) * (y_end - y_first);
    return static_cast<uint16_t>((sum + count / 2) / count);
  }
};

}  // namespace bsq::cuda
