// The prior: logits of stage flags and bits. docs/numerics.md section 4.
//
// One layer of a frame goes like this, the same in encoder and decoder:
//
//   prior.trunk(active, previous, side, flags);           // logits of the stage flags
//   ... code the stage counts, all tiles ...
//   for every tile (in parallel if there are several):
//     tile.begin_layer(prior, active, stages);
//     for g in 0..2:
//       tile.begin_group(g);
//       for s in 0..S-1:
//         tokens = tile.begin_stage(s);                   // those of the group with n > s
//         tile.stage_in_order(code);                      // or stage_apart(code)
//
// code(begin, end, j, logits, bytes) is to give the bits 8j .. 8j+7 of tokens [begin, end) of the
// stage under their logits [end - begin, 8]: bit i of a byte is b[s][8j + i].
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/function_ref.h"
#include "base/thread_pool.h"
#include "network/block_stack.h"
#include "network/layers.h"
#include "network/token_field.h"

namespace bsq {

// Logits of the eight bits of a sub-group of one token, which move as bits become known.
class ByteLogits {
 public:
  // `pair`: that of TilePrior.
  ByteLogits(const int16_t* logits, const int16_t* pair) : pair_(pair) {
    std::copy_n(logits, kSubgroupBits, sums_.begin());
  }
  int32_t operator[](int i) const { return sums_[static_cast<size_t>(i)]; }
  // Bit i turned out as 1.
  void set(int i) {
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

// The state of one tile. One thread at a time; different tiles may run at once, also
// inside a loop of the prior's own pool.
class TilePrior {
 public:
  TilePrior(std::shared_ptr<const Networks> networks, const TokenRect& rect);

  // Starts a layer after prior.trunk(). stages: n of every active token of the frame,
  // [active.count()]. `prior`, `active` and `stages` must live until the layer is done.
  void begin_layer(const Prior& prior, const ActiveTokens& active, std::span<const uint8_t> stages);
  // Of the layer's prior.
  ThreadPool& pool() const { return prior_->pool(); }
  // Groups in order 0, 1, 2; all bits of earlier groups must have been fed.
  void begin_group(int group);
  // Indices in `active` of the group's tokens with n > stage, in the order of coding: raster
  // order in the tile. Stages in rising order; the span lives until the next begin_stage().
  std::span<const int32_t> begin_stage(int stage);
  using Code =
      FunctionRef<void(int begin, int end, int subgroup, const int16_t* logits, uint8_t* bytes)>;
  // All sub-groups of the stage, with calls of `code` by the calling thread, one after the other in
  // the order of coding. Other threads make logits meanwhile of tokens whose bits are there.
  void stage_in_order(const Code& code);
  // The same where bits follow from a token's own logits, or are known: tokens in any order and at
  // the same time, the sub-groups of one in order.
  void stage_apart(const Code& code);
  // After stage_apart(): the logits [tokens of the stage, 8] of a sub-group.
  const int16_t* logits(int subgroup) const {
    return logits_.data() + static_cast<size_t>(subgroup) * rows_.size() * kSubgroupBits;
  }
  // Memory for the bits of a sub-group of the stage.
  uint8_t* bytes() { return bytes_.data(); }
  // What bits of the sub-group that are 1 add to the logits of later ones: [8 (bit that is 1), 8].
  const int16_t* pair(int subgroup) const;

 private:
  // What the threads of stage_in_order() have in common: of every batch of every sub-group whether
  // somebody makes its logits, how many have been coded, and whether that has failed.
  struct Order {
    enum State : uint8_t { kWaits, kTaken, kThere };
    std::vector<std::atomic<uint8_t>> states;
    std::atomic<int> coded = 0;
    std::atomic<bool> stopped = false;

    explicit Order(size_t tokens);
    void begin(int count);
    bool take(int i);
  };
  // Rows cut into batches.
  struct Batches {
    int rows;
    int size;
    int count() const { return (rows + size - 1) / size; }
    int begin(int batch) const { return batch * size; }
    int end(int batch) const { return std::min(rows, begin(batch) + size); }
  };
  void list_tokens();
  void place_presence();
  void embed_group(int group);
  void start_rows(int begin, int end, BatchScratch& scratch);
  void append_bits(int begin, int end, int head, BatchScratch& scratch);
  void make_logits(int begin, int end, int subgroup, BatchScratch& scratch);
  int16_t* logits_at(int row, int subgroup) {
    const size_t at = static_cast<size_t>(subgroup) * rows_.size() + static_cast<size_t>(row);
    return logits_.data() + at * kSubgroupBits;
  }
  void code_rows(int begin, int end, int subgroup, const Code& code);
  void code_batches(const Batches& batches, const Code& code, BatchScratch& scratch);
  void help(const Batches& batches, BatchScratch& scratch);
  uint32_t* bits_of(int row) {
    return bits_.data() + networks_->layout.stages * slots_[static_cast<size_t>(row)];
  }

  std::shared_ptr<const Networks> networks_;
  TokenRect rect_;
  AlignedVector<int8_t>
      presence_;        // e of a token without bits, by its number of stages: [S + 1, width]
  PaddedGrid context_;  // e of every token of the tile

  // The layer at hand.
  const Prior* prior_ = nullptr;
  const ActiveTokens* active_ = nullptr;
  std::span<const uint8_t> stages_;
  std::vector<ActiveTokens::Run> runs_;   // of the tile, at its own coordinates
  std::vector<int32_t> tokens_[kGroups];  // with n > 0

  // The group at hand.
  int group_ = 0;
  std::vector<uint32_t> bits_;  // [tokens_[group_], S]

  // The stage at hand: one row per token with n > stage_.
  int stage_ = 0;
  int pending_ = -1;               // head of an earlier stage whose bits are not in v_ yet
  std::vector<int32_t> rows_;      // index in active_
  std::vector<int32_t> slots_;     // index in tokens_[group_]
  AlignedVector<int16_t> v_;       // [rows_, width]
  AlignedVector<int16_t> logits_;  // [4, rows_, 8]
  std::vector<uint8_t> bytes_;     // of rows_, those of the sub-group at hand
  std::unique_ptr<Order> order_;
  std::vector<BatchScratch> scratch_;
};

}  // namespace bsq
