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

// A layer before it is coded.
struct LayerInput {
  const Frame& source;
  const Frame& prediction;
  TokenSteps steps;
  ThreadPool& pool;
};

// The coded-token decision: sets the stage counts of all tokens, 1 for those whose residual energy
// is at least `energy` and that are not `sample_coded`, else 0. Returns whether there are any.
// Brings the differences up to date.
bool find_coded_tokens(const LayerInput& layer, double energy,
                       const std::vector<uint8_t>& sample_coded, DifferenceField& differences,
                       TokenField& tokens);

// The number of stages up to the last one with a bit that is 1.
inline int count_stages(const uint32_t* words, int stages) {
  while (stages > 0 && words[stages - 1] == 0) --stages;
  return stages;
}

// Sets one flag per superblock in raster order: 1 if a token of it has stages.
void mark_superblocks(const TokenField& tokens, const Geometry& geometry,
                      std::vector<uint8_t>& superblocks);

// What RD costs are measured by.
struct RdInput {
  LayerInput layer;
  const ActiveTokens& active;
  const Tuning& tuning;
  double lambda = 0;  // in squared steps for a bit
};

// What active tokens decode to, and cost.
struct CodedTokens {
  const int16_t* output;                  // [active.count(), 96], of the decoder network
  std::span<const uint64_t> token_rates;  // [active.count()], in 2^-24 bits
};

// Zeroes out tokens whose RD cost is lower without bits. `coded`: the tokens as they are. Returns
// whether any token has changed.
bool zero_out_tokens(const RdInput& input, const CodedTokens& coded, TokenField& tokens);

// A way to code the tokens of a layer, with the output of the decoder network and the rates.
struct TokenCoding {
  TokenField tokens;
  std::vector<int16_t> output;        // [active.count(), 96]
  std::vector<uint64_t> token_rates;  // [active.count()], in 2^-24 bits
};

// Mode decision: takes every token of `other` over into `best` that has a lower RD cost.
void keep_lower_cost(const RdInput& input, const TokenCoding& other, TokenCoding& best);

}  // namespace bsq
