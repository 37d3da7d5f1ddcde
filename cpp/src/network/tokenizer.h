// The two halves of the tokenizer on the active tokens of a picture: docs/numerics.md section 4.
//
// An object keeps its working memory between pictures and serves one thread at a time; it spreads
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

  // Bits of all three stages: bits[3 * t + s], bit i of a word is b[s][i].
  // residual: [active.count(), 96], side: [active.count(), 104]; see samples.h.
  void encode(const ActiveTokens& active, const int16_t* residual, const int16_t* side,
              uint32_t* bits);

  // What encode() does in parts, for an encoder that chooses bits itself. run() computes the sums
  // linear8(f; head), kept in heads(): [active.count(), 96] until the next call.
  void run(const ActiveTokens& active, const int16_t* residual, const int16_t* side);
  const int32_t* heads() const { return heads_.data(); }
  // z of one stage of one token from its 96 sums and the bits chosen for the stages before.
  void stage_sums(int stage, const int32_t* heads, const uint32_t bits[kStages],
                  int32_t z[kStageBits]) const;

 private:
  std::shared_ptr<const Networks> networks_;
  ThreadPool& pool_;
  BlockStack stack_;
  std::vector<int32_t> heads_;
};

class TokenizerDecoder {
 public:
  TokenizerDecoder(std::shared_ptr<const Networks> networks, ThreadPool& pool);

  // out [active.count(), 96], Q8, in steps; see reconstruct() in samples.h.
  // tokens: [active.count(), 104] of this layer, side: [active.count(), 104].
  void decode(const ActiveTokens& active, const int8_t* tokens, const int16_t* side, int16_t* out);

 private:
  std::shared_ptr<const Networks> networks_;
  BlockStack stack_;
};

}  // namespace bsq
