// The two halves of the tokenizer on the active tokens of a frame: docs/numerics.md section 4.
//
// An object keeps its working memory between frames and serves one thread at a time; it spreads
// its work over the pool, and its results do not depend on the number of threads. Cost grows with
// the number of active tokens alone.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/thread_pool.h"
#include "network/block_stack.h"
#include "network/layers.h"
#include "network/token_field.h"

namespace bsq {

class TokenizerEncoder {
 public:
  TokenizerEncoder(std::shared_ptr<const Networks> networks, ThreadPool& pool);

  // Latents of all stages, z [active.count(), 32 S] in sixteenths: bit i of stage s of token t is 1
  // where z[t, 32 s + i] >= 0.
  // residual: [active.count(), 96], side: [active.count(), 104]; see samples.h.
  void encode(const ActiveTokens& active, const int16_t* residual, const int16_t* side, int8_t* z);

 private:
  std::shared_ptr<const Networks> networks_;
  BlockStack stack_;
};

// What other bits would do about the error of a decoded layer.
class TokenizerResponse {
 public:
  TokenizerResponse(std::shared_ptr<const Networks> networks, ThreadPool& pool);

  // What every bit gains by the errors that `output` leaves of `residual`, both
  // [active.count(), 96]: [active.count(), 32 S], valid until the next call.
  const int16_t* gains(const ActiveTokens& active, const int16_t* residual, const int16_t* output);

  // Latents of all bits where the tokens have those of `tokens`, z [active.count(), 32 S]; see
  // response_latent(). residual, output [active.count(), 96]: residual vectors, and the decoder
  // network's output for the tokens.
  void latents(const ActiveTokens& active, const TokenField& tokens, const int16_t* residual,
               const int16_t* output, int per_unit, int8_t* z);

 private:
  void add_neighbour(const ActiveTokens& active, int neighbour);

  std::shared_ptr<const Networks> networks_;
  ThreadPool& pool_;
  std::vector<int16_t> error_;      // [active.count(), 96]
  std::vector<int16_t> neighbour_;  // the same of one neighbour of each
  std::vector<int16_t> gain_;       // [active.count(), 32 S]
};

class TokenizerDecoder {
 public:
  TokenizerDecoder(std::shared_ptr<const Networks> networks, ThreadPool& pool);

  // out [active.count(), 96], Q8, in steps; see reconstruct() in samples.h.
  // tokens: [active.count(), V] of this layer, side: [active.count(), 104].
  void decode(const ActiveTokens& active, const int8_t* tokens, const int16_t* side, int16_t* out);

 private:
  std::shared_ptr<const Networks> networks_;
  BlockStack stack_;
};

}  // namespace bsq
