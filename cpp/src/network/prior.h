// The prior: logits of stage flags and bits. docs/numerics.md section 4.
//
// One layer of a picture goes like this, the same in encoder and decoder:
//
//   prior.trunk(active, previous, side, flags);           // logits of the stage flags
//   ... code the stage counts, all blocks ...
//   for every entropy block (in parallel if there are several):
//     block.begin_layer(prior, active, stages);
//     for g in 0..2:
//       block.begin_group(g);
//       for s in 0..S-1:
//         tokens = block.begin_stage(s);                   // those of the group with n > s
//         for j in 0..3:
//           logits = block.logits();                       // [tokens, 8], bits 8j .. 8j+7
//           ... code tokens.size() bytes: bit i of a byte is b[s][8j + i] ...
//           block.feed(bytes);
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "network/block_stack.h"
#include "network/layers.h"
#include "network/token_field.h"

namespace bsq {

// Logits of the eight bits of a sub-group of one token, which move as bits become known.
class ByteLogits {
 public:
  // `pair`: that of PriorBlock, or nullptr.
  ByteLogits(const int16_t* logits, const int16_t* pair) : pair_(pair) {
    std::copy_n(logits, kSubgroupBits, sums_.begin());
  }
  int32_t operator[](int i) const { return sums_[static_cast<size_t>(i)]; }
  // Bit i turned out as 1.
  void set(int i) {
    if (pair_ == nullptr) return;
    const int16_t* add = pair_ + static_cast<ptrdiff_t>(i) * kSubgroupBits;
    for (size_t k = static_cast<size_t>(i) + 1; k < kSubgroupBits; ++k) sums_[k] += add[k];
  }

 private:
  std::array<int32_t, kSubgroupBits> sums_;
  const int16_t* pair_;
};

class Prior {
 public:
  Prior(std::shared_ptr<const Networks> networks, ThreadPool& pool);

  // flags [active.count(), 3 S]: Q8 logits of the stage flags. previous: token vectors
  // [active.count(), V] of the previous token field at the active tokens of this layer.
  void trunk(const ActiveTokens& active, const int8_t* previous, const int16_t* side,
             int16_t* flags);

  const Networks& networks() const { return *networks_; }
  ThreadPool& pool() const { return pool_; }
  // The trunk's residual stream [active.count(), prior width] of the last call.
  const int16_t* stream() const { return stack_.stream(); }

 private:
  std::shared_ptr<const Networks> networks_;
  ThreadPool& pool_;
  BlockStack stack_;
};

// The state of one entropy block. One thread at a time; different blocks may run at once, also
// inside a loop of the prior's own pool.
class PriorBlock {
 public:
  PriorBlock(std::shared_ptr<const Networks> networks, const TokenRect& rect);

  // Starts a layer after prior.trunk(). stages: n of every active token of the picture,
  // [active.count()]. `prior`, `active` and `stages` must live until the layer is done.
  void begin_layer(const Prior& prior, const ActiveTokens& active, std::span<const uint8_t> stages);
  // Of the layer's prior.
  ThreadPool& pool() const { return prior_->pool(); }
  // Groups in order 0, 1, 2; all bits of earlier groups must have been fed.
  void begin_group(int group);
  // Indices in `active` of the group's tokens with n > stage, in the order of coding: raster
  // order in the block. Stages in rising order; the span lives until the next begin_stage().
  std::span<const int32_t> begin_stage(int stage);
  // Logits [tokens of the stage, 8] of the sub-group that comes next.
  const int16_t* logits();
  // What bits of the sub-group that are 1 add to the logits of later ones: [8 (bit that is 1), 8],
  // or nullptr before numerics 3.
  const int16_t* pair() const;
  // The bits of that sub-group, one byte per token; goes on to the next sub-group.
  void feed(std::span<const uint8_t> bits);

 private:
  void list_tokens();
  void place_presence();
  void embed_group(int group);
  void start_rows(int begin, int end, TileScratch& scratch);
  void append_bits(int begin, int end, TileScratch& scratch);
  uint32_t* bits_of(int row) {
    return bits_.data() + networks_->layout.stages * slots_[static_cast<size_t>(row)];
  }

  std::shared_ptr<const Networks> networks_;
  TokenRect rect_;
  AlignedVector<int8_t>
      presence_;        // e of a token without bits, by its number of stages: [S + 1, width]
  PaddedGrid context_;  // e of every token of the block

  // The layer at hand.
  const Prior* prior_ = nullptr;
  const ActiveTokens* active_ = nullptr;
  std::span<const uint8_t> stages_;
  std::vector<ActiveTokens::Run> runs_;   // of the block, at its own coordinates
  std::vector<int32_t> tokens_[kGroups];  // with n > 0

  // The group at hand.
  int group_ = 0;
  std::vector<uint32_t> bits_;  // [tokens_[group_], S]

  // The stage at hand: one row per token with n > stage_.
  int stage_ = 0;
  int subgroup_ = 0;
  int pending_ = -1;               // head whose bits are not in v_ yet
  std::vector<int32_t> rows_;      // index in active_
  std::vector<int32_t> slots_;     // index in tokens_[group_]
  AlignedVector<int16_t> v_;       // [rows_, width]
  AlignedVector<int16_t> logits_;  // [rows_, 8]
  std::vector<TileScratch> scratch_;
};

}  // namespace bsq
