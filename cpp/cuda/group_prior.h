// The groups of the prior on a device, for all tiles of a frame together:
// docs/numerics.md section 4.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "codec/common/geometry.h"
#include "cuda/stack.h"
#include "network/token_field.h"

namespace bsq::cuda {

// One layer of a decoder goes like this:
//
//   prior.begin_layer(active, list, tokens, fields, coded)   after the trunk, stage counts known
//   for g in 0..2, if prior.begin_group(g):
//     for s in 0..S-1, if prior.begin_stage(s):
//       for j in 0..3:
//         logits = prior.logits(j)                           waits for the device
//         for every tile: code the bits of prior.tokens_of(tile) into bytes_of(tile)
//         prior.feed()
//     prior.end_group(tokens)
//
// An encoder has nothing to wait for: bits that are known lie in `fields`, or a kernel chooses them
// as soon as their logits are there.
//
//   prior.begin_layer(active, list, tokens, fields, coded)
//   prior.walk(logits, fn)    all sub-groups in order, fn() queues what is done with each
class GroupPrior {
 public:
  // The sets must outlive the object.
  GroupPrior(Device& device, const WeightSets& sets, const Geometry& geometry,
             std::span<const TokenRect> rects, NetworkRunner& runner);

  // The set that runs from now on, one of those.
  void use(const Weights& weights) { weights_ = &weights; }

  // `list` describes `active`; `fields` receives the stage counts and later the bits, and `coded`,
  // where it is not null, notes the places that have stages. All three live until the layer is
  // done.
  void begin_layer(const ActiveTokens& active, const ActiveList& list, const TokenField& tokens,
                   const TokenArrays& fields, uint8_t* coded);
  // False where no token of the group has a stage.
  bool begin_group(int group);
  // False where no token of the group has so many stages.
  bool begin_stage(int stage);
  // [tokens of all tiles, 8]
  const int16_t* logits(int subgroup);
  const int16_t* pair() const { return weights_->pair(head_); }
  // Numbers of the tiles by place, on the device.
  const int16_t* area() const { return area_.data(); }
  // Tokens of the stage in a tile, as indices in `active`, in the order of coding; their logits;
  // and where their bits belong, one byte per token.
  std::span<const int32_t> tokens_of(size_t tile) const;
  const int16_t* logits_of(size_t tile) const;
  uint8_t* bytes_of(size_t tile);
  // The bytes are complete.
  void feed();
  // The bits of the group's tokens are complete in `tokens`.
  void end_group(const TokenField& tokens);

  // A sub-group of a stage of a group, for an encoder: the arrays are the device's.
  struct Subgroup {
    int stage = 0;
    int number = 0;
    int head = 0;
    int rows = 0;
    const int32_t* slots = nullptr;  // place in `list` by row
    const int32_t* list = nullptr;   // active token
    const int16_t* logits = nullptr;
  };
  // Queues the logits of all sub-groups of the layer, those of a stage of a group one after the
  // other as [tokens of the stage, 8] from logits + logits_at() on; fn(const Subgroup&) queues what
  // follows, after which the bits must be in `fields`.
  template <class Fn>
  void walk(int16_t* logits, const Fn& fn) {
    for (int group = 0; group < kGroups; ++group) {
      if (!begin_group(group)) continue;
      for (int stage = 0; stage < weights_->layout().stages && begin_stage(stage); ++stage) {
        for (int j = 0; j < kSubgroups; ++j) fn(queue_subgroup(j, logits));
      }
      if (group + 1 != kGroups) embed_group();
    }
  }
  // What the host codes of a stage, after walk(); see tokens_of() and the rest.
  struct StageRows {
    std::span<const int32_t> tokens;
    size_t logits_at = 0;  // those of sub-group 0 and of the tile
    size_t stride = 0;     // to those of the next sub-group
  };
  StageRows stage_rows(int group, int stage, size_t tile) const;
  // Logits of all sub-groups, at most.
  size_t logit_count() const { return stage_tokens_.size() * kStageBits; }

 private:
  // Rows of all tiles one after the other; `begin` has an entry per tile and one more.
  struct Rows {
    size_t first = 0;  // in the arrays of all lists
    std::vector<size_t> begin;
    size_t count() const { return begin.back(); }
  };

  Subgroup queue_subgroup(int subgroup, int16_t* logits);
  HeadKernel head_kernel(int subgroup);
  void embed_group();
  void list_rows(const ActiveTokens& active, const TokenField& tokens);
  void list_stages(size_t group);
  const Rows& stage_rows() const { return stages_[stage_index(group_, stage_)]; }
  size_t stage_index(int group, int stage) const {
    return static_cast<size_t>(group * weights_->layout().stages + stage);
  }
  void start_rows();
  void store_stages(uint8_t* coded);

  Device& device_;
  const Weights* weights_;
  NetworkRunner& runner_;
  const std::vector<TokenRect> rects_;
  const int tokens_x_;
  DeviceArray<int16_t> area_;     // number of the tile by place
  DeviceArray<int8_t> embedded_;  // e of the active tokens
  DeviceArray<int16_t> v_;        // by slot: the place in the list of a group
  Mirror<uint8_t> counts_;        // stages of the active tokens
  Mirror<int32_t> group_tokens_;  // active tokens of the groups, one list after the other
  Mirror<int32_t> stage_slots_;   // slots of the tokens of the stages, likewise
  std::vector<int32_t> stage_tokens_;
  Mirror<uint32_t> words_;  // bits by slot
  // What goes to and fro for every sub-group is small, and copies would take longer than the
  // kernel: it reads and writes the host's memory.
  HostArray<uint8_t> slot_bytes_;  // the sub-group that was coded last
  HostArray<int16_t> logits_;
  std::vector<uint8_t> row_bytes_;

  // The layer at hand.
  const ActiveTokens* active_ = nullptr;
  ActiveList list_;
  TokenArrays fields_{};
  std::array<Rows, kGroups> groups_;
  std::vector<Rows> stages_;  // by group and stage
  int group_ = 0;
  int stage_ = 0;
  int head_ = 0;
  int pending_ = -1;  // the head whose bits are in slot_bytes_, but not in v_ yet
};

}  // namespace bsq::cuda
