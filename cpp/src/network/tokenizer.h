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
