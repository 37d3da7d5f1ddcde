// The groups of the prior on a device: lists of rows on the host, networks over them.
#include "cuda/group_prior.h"

#include <algorithm>
#include <string>

#include "base/status.h"

namespace bsq::cuda {
namespace {

size_t tile_rows(size_t tokens) {
  constexpr size_t kTile = LinearKernel::kTile;
  return (tokens + kTile - 1) / kTile * kTile;
}

size_t prior_pitch(const Weights& weights) {
  return static_cast<size_t>(padded(weights.sizes().prior.width));
}

size_t widest_pitch(const WeightSets& sets) {
  return static_cast<size_t>(padded(sets.widest_prior()));
}

}  // namespace

GroupPrior::GroupPrior(Device& device, const WeightSets& sets, const Geometry& geometry,
                       std::span<const TokenRect> rects, NetworkRunner& runner)
    : device_(device),
      weights_(sets.keyframes.get()),
      runner_(runner),
      rects_(rects.begin(), rects.end()),
      tokens_x_(geometry.tokens_x),
      area_(device, geometry.tokens()),
      embedded_(device, tile_rows(geometry.tokens()) * widest_pitch(sets)),
      v_(device, tile_rows(geometry.tokens()) * widest_pitch(sets)),
      counts_(device, geometry.tokens()),
      group_tokens_(device, geometry.tokens()),
      stage_slots_(device, geometry.tokens() * static_cast<size_t>(weights_->layout().stages)),
      stage_tokens_(stage_slots_.size()),
      words_(device, stage_slots_.size()),
      slot_bytes_(device, geometry.tokens()),
      logits_(device, geometry.tokens() * kSubgroupBits),
      row_bytes_(geometry.tokens()),
      stages_(static_cast<size_t>(kGroups * weights_->layout().stages)) {
  std::vector<int16_t> area(geometry.tokens());
  for (size_t i = 0; i < rects_.size(); ++i) {
    const TokenRect& r = rects_[i];
    for (int y = r.y; y < r.y + r.height; ++y) {
      std::fill_n(area.begin() + static_cast<ptrdiff_t>(geometry.token_index(r.x, y)), r.width,
                  static_cast<int16_t>(i));
    }
  }
  for (Rows& rows : groups_) rows.begin.resize(rects_.size() + 1);
  for (Rows& rows : stages_) rows.begin.resize(rects_.size() + 1);
  device_.upload(area_.data(), area.data(), area.size() * sizeof(int16_t));
  device_.wait();
}

void GroupPrior::begin_layer(const ActiveTokens& active, const ActiveList& list,
                             const TokenField& tokens, const TokenArrays& fields, uint8_t* coded) {
  device_.wait_mark();
  active_ = &active;
  list_ = list;
  fields_ = fields;
  for (size_t i = 0; i < active.tokens().size(); ++i) {
    const TokenPosition at = active.tokens()[i];
    counts_.data()[i] = tokens.stages[tokens.at(at.y, at.x)];
  }
  list_rows(active, tokens);
  for (size_t g = 0; g < kGroups; ++g) list_stages(g);
  counts_.send(device_, static_cast<size_t>(list.count));
  group_tokens_.send(device_, groups_.back().first + groups_.back().count());
  stage_slots_.send(device_, stages_.back().first + stages_.back().count());
  device_.mark();
  store_stages(coded);
}

// The tokens of every group that have stages.
void GroupPrior::list_rows(const ActiveTokens& active, const TokenField& tokens) {
  size_t next = 0;
  for (int g = 0; g < kGroups; ++g) {
    Rows& rows = groups_[static_cast<size_t>(g)];
    rows.first = next;
    for (size_t b = 0; b < rects_.size(); ++b) {
      rows.begin[b] = next - rows.first;
      const TokenRect& r = rects_[b];
      for (int y = r.y; y < r.y + r.height; ++y) {
        for (int x = r.x; x < r.x + r.width; ++x) {
          if (tokens.stages[tokens.at(y, x)] == 0 || token_group(y, x) != g) continue;
          group_tokens_.data()[next++] = active.index(y, x);
        }
      }
    }
    rows.begin.back() = next - rows.first;
  }
}

// Of a group, the tokens of every stage.
void GroupPrior::list_stages(size_t group) {
  const Rows& all = groups_[group];
  const int32_t* tokens = group_tokens_.data() + all.first;
  for (int s = 0; s < weights_->layout().stages; ++s) {
    const size_t index = stage_index(static_cast<int>(group), s);
    Rows& rows = stages_[index];
    rows.first = index == 0 ? 0 : stages_[index - 1].first + stages_[index - 1].count();
    size_t next = rows.first;
    for (size_t b = 0; b < rects_.size(); ++b) {
      rows.begin[b] = next - rows.first;
      for (size_t slot = all.begin[b]; slot < all.begin[b + 1]; ++slot) {
        if (counts_.data()[tokens[slot]] <= s) continue;
        stage_slots_.data()[next] = static_cast<int32_t>(slot);
        stage_tokens_[next++] = tokens[slot];
      }
    }
    rows.begin.back() = next - rows.first;
  }
}

void GroupPrior::store_stages(uint8_t* coded) {
  const StoreStagesKernel kernel{counts_.device(),
                                 list_.count,
                                 list_.positions,
                                 tokens_x_,
                                 fields_.stages,
                                 coded,
                                 weights_->presence(),
                                 embedded_.data(),
                                 static_cast<int>(prior_pitch(*weights_))};
  device_.launch(kernel);
}

bool GroupPrior::begin_group(int group) {
  group_ = group;
  pending_ = -1;
  if (groups_[static_cast<size_t>(group)].count() == 0) return false;
  start_rows();
  return true;
}

// v of the group's tokens before any bit of them is known.
void GroupPrior::start_rows() {
  const PriorLayers& prior = weights_->prior();
  const Rows& rows = groups_[static_cast<size_t>(group_)];
  const auto count = static_cast<int>(rows.count());
  const auto pitch = static_cast<int>(prior_pitch(*weights_));
  const int32_t* list = group_tokens_.device() + rows.first;
  const int8_t* d = runner_.convolve(prior.ctx, list_, embedded_.data(), list, count, area_.data());
  LinearKernel mix = linear_kernel(prior.mix, d, count);
  mix.wide = true;
  mix.added = runner_.stream();
  mix.added_rows = list;
  mix.added_pitch = pitch;
  mix.out16 = v_.data();
  mix.out16_pitch = pitch;
  mix.next_m = prior.ffn.in.m;
  mix.next_shift = prior.ffn.in.shift;
  mix.out8 = runner_.narrow();
  mix.out8_pitch = pitch;
  device_.launch(mix);
  runner_.feed_forward(prior.ffn, runner_.narrow(), count, v_.data(), nullptr, nullptr);
}

bool GroupPrior::begin_stage(int stage) {
  stage_ = stage;
  return stage_rows().count() != 0;
}

// The head of a sub-group, but for what has become known before it and for where its logits go.
HeadKernel GroupPrior::head_kernel(int subgroup) {
  const PriorLayers& prior = weights_->prior();
  const Rows& rows = stage_rows();
  head_ = stage_ * kSubgroups + subgroup;
  const auto at = static_cast<size_t>(head_);
  HeadKernel kernel{};
  kernel.slots = stage_slots_.device() + rows.first;
  kernel.rows = static_cast<int>(rows.count());
  kernel.v = v_.data();
  kernel.pitch = static_cast<int>(prior_pitch(*weights_));
  kernel.width = weights_->sizes().prior.width;
  if (pending_ >= 0) {
    const Linear& emb = prior.emb[static_cast<size_t>(pending_)];
    kernel.emb_w = emb.w;
    kernel.emb_b = emb.b;
    kernel.emb_m = emb.m;
    kernel.emb_shift = emb.shift;
  }
  kernel.in_m = prior.head_in[at].m;
  kernel.in_shift = prior.head_in[at].shift;
  kernel.table = prior.head_table;
  kernel.w = prior.head[at].w;
  kernel.b = prior.head[at].b;
  kernel.m = prior.head[at].m;
  kernel.k = prior.head[at].k;
  kernel.shift = prior.head[at].shift;
  return kernel;
}

const int16_t* GroupPrior::logits(int subgroup) {
  HeadKernel kernel = head_kernel(subgroup);
  if (pending_ >= 0) kernel.bytes = slot_bytes_.data();
  kernel.logits = logits_.data();
  device_.launch(kernel);
  device_.wait();
  pending_ = -1;
  return logits_.data();
}

GroupPrior::Subgroup GroupPrior::queue_subgroup(int subgroup, int16_t* logits) {
  const Rows& rows = stage_rows();
  HeadKernel kernel = head_kernel(subgroup);
  const int32_t* list = group_tokens_.device() + groups_[static_cast<size_t>(group_)].first;
  if (pending_ >= 0) {
    kernel.known = {fields_.bits,
                    list,
                    list_.positions,
                    tokens_x_,
                    weights_->layout().stages,
                    pending_ / kSubgroups,
                    pending_ % kSubgroups * kSubgroupBits};
  }
  const auto j = static_cast<size_t>(subgroup);
  kernel.logits =
      logits + (rows.first * kSubgroups + j * rows.count()) * static_cast<size_t>(kSubgroupBits);
  device_.launch(kernel);
  pending_ = head_;
  return {stage_, subgroup, head_, kernel.rows, kernel.slots, list, kernel.logits};
}

GroupPrior::StageRows GroupPrior::stage_rows(int group, int stage, size_t tile) const {
  const Rows& rows = stages_[stage_index(group, stage)];
  const size_t begin = rows.begin[tile];
  return {{stage_tokens_.data() + rows.first + begin, rows.begin[tile + 1] - begin},
          (rows.first * kSubgroups + begin) * kSubgroupBits,
          rows.count() * kSubgroupBits};
}

std::span<const int32_t> GroupPrior::tokens_of(size_t tile) const {
  const Rows& rows = stage_rows();
  return {stage_tokens_.data() + rows.first + rows.begin[tile],
          rows.begin[tile + 1] - rows.begin[tile]};
}

const int16_t* GroupPrior::logits_of(size_t tile) const {
  return logits_.data() + stage_rows().begin[tile] * kSubgroupBits;
}

uint8_t* GroupPrior::bytes_of(size_t tile) { return row_bytes_.data() + stage_rows().begin[tile]; }

void GroupPrior::feed() {
  const Rows& rows = stage_rows();
  const int32_t* slots = stage_slots_.data() + rows.first;
  for (size_t i = 0; i < rows.count(); ++i) {
    slot_bytes_[static_cast<size_t>(slots[i])] = row_bytes_[i];
  }
  pending_ = head_;
}

void GroupPrior::end_group(const TokenField& tokens) {
  const Rows& rows = groups_[static_cast<size_t>(group_)];
  const int32_t* members = group_tokens_.data() + rows.first;
  const auto count = static_cast<int>(rows.count());
  const int stages = weights_->layout().stages;
  for (size_t i = 0; i < rows.count(); ++i) {
    const TokenPosition at = active_->tokens()[static_cast<size_t>(members[i])];
    std::copy_n(tokens.words(tokens.at(at.y, at.x)), stages,
                words_.data() + i * static_cast<size_t>(stages));
  }
  words_.send(device_, rows.count() * static_cast<size_t>(stages));
  const int32_t* list = group_tokens_.device() + rows.first;
  const StoreBitsKernel store{words_.device(), count,  list,        list_.positions,
                              tokens_x_,       stages, fields_.bits};
  device_.launch(store);
  if (group_ + 1 != kGroups) embed_group();
}

// What the groups after this one see of its tokens, whose bits are in fields_.
void GroupPrior::embed_group() {
  const Rows& rows = groups_[static_cast<size_t>(group_)];
  const int32_t* list = group_tokens_.device() + rows.first;
  const auto count = static_cast<int>(rows.count());
  const ExpandTokensKernel expand{
      fields_,           weights_->layout().stages, count, list, list_.positions, tokens_x_,
      runner_.vectors(), runner_.vector_pitch()};
  device_.launch(expand);
  LinearKernel embed = linear_kernel(weights_->prior().cur, runner_.vectors(), count);
  embed.out8 = embedded_.data();
  embed.out8_rows = list;
  embed.out8_pitch = static_cast<int>(prior_pitch(*weights_));
  device_.launch(embed);
}

}  // namespace bsq::cuda
