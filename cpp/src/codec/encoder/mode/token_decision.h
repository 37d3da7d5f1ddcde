// Rate-distortion decisions on tokens: which may be coded, which are zeroed out, and which of
// several codings costs less. Not normative.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/plane.h"
#include "base/thread_pool.h"
#include "codec/common/geometry.h"
#include "codec/encoder/mode/decisions.h"
#include "codec/encoder/mode/token_samples.h"
#include "network/token_field.h"
#include "network/token_steps.h"

namespace bsq {

// Sets the stage counts of all tokens: 1 for those whose energy of what the prediction misses is at
// least `energy`, else 0. Returns whether there are any.
// Brings the differences up to date.
bool find_candidates(const Frame& source, const Frame& prediction, const TokenSteps& steps,
                     double energy, ThreadPool& pool, DifferenceField& differences,
                     TokenField& tokens);

// The number of stages up to the last one with a bit that is 1.
inline int count_stages(const uint32_t* words, int stages) {
  while (stages > 0 && words[stages - 1] == 0) --stages;
  return stages;
}

// Sets one flag per window in raster order: 1 if a token of it has stages.
void mark_windows(const TokenField& tokens, const Geometry& geometry,
                  std::vector<uint8_t>& windows);

// Takes all stages from tokens that are not worth their bits; `output` [active.count(), 96] is the
// decoder network's for the tokens as they are, `bills` [active.count()] their bits in 2^-24,
// `lambda` the price of a bit in squared steps.
// Returns whether any token has changed.
bool drop_tokens(const Frame& source, const Frame& prediction, const int16_t* output,
                 std::span<const uint64_t> bills, const ActiveTokens& active,
                 const TokenSteps& steps, const Tuning& tuning, double lambda, ThreadPool& pool,
                 TokenField& tokens);

// Tokens of a layer as they may be coded, with what the decoder network and the prior say of them.
struct TokenChoice {
  TokenField tokens;
  std::vector<int16_t> output;  // [active.count(), 96]
  std::vector<uint64_t> bills;  // [active.count()], in 2^-24 bits
};

// Takes every token of `other` over into `best` that costs less in error and bits together.
void take_better(const Frame& source, const Frame& prediction, const TokenChoice& other,
                 const ActiveTokens& active, const TokenSteps& steps, const Tuning& tuning,
                 double lambda, ThreadPool& pool, TokenChoice& best);

}  // namespace bsq
