// The prior: logits of stage flags and bits. docs/numerics.md section 4.
#include "network/prior.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "base/section_clock.h"
#include "base/status.h"

namespace bsq {
namespace {

// Rows of which logits are made at once while others are being coded: enough to be worth it, few
// enough that there is always something to do.
constexpr int kOrderedBatch = 24;

}  // namespace

Prior::Prior(std::shared_ptr<const Networks> networks, ThreadPool& pool)
    : networks_(std::move(networks)),
      pool_(pool),
      stack_(networks_->kernels, networks_->prior.stack, pool) {}

void Prior::trunk(const ActiveTokens& active, const int8_t* previous, const int16_t* side,
                  int16_t* flags) {
  const SectionScope scope(Section::kPriorTrunk, static_cast<size_t>(active.count()));
  const PriorWeights& weights = networks_->prior;
  const KernelTable& kernels = networks_->kernels;
  const LinearView to_flags = weights.flag.view();
  const auto input = [&](int begin, int end, int16_t* x, BatchScratch&) {
    run_token_input(kernels, weights.tok.view(), weights.side.view(), previous, side, begin, end,
                    x);
  };
  const auto output = [&](int begin, int end, const int8_t* f, BatchScratch&) {
    kernels.linear8_rq16(to_flags, f, to_flags.k, end - begin, false,
                         flags + static_cast<ptrdiff_t>(begin) * to_flags.n, to_flags.n);
  };
  stack_.run(active, input, output);
}

TilePrior::TilePrior(std::shared_ptr<const Networks> networks, const TokenRect& rect)
    : networks_(std::move(networks)),
      rect_(rect),
      order_(std::make_unique<Order>(static_cast<size_t>(rect.height) *
                                     static_cast<size_t>(rect.width))) {
  const LinearView cur = networks_->prior.cur.view();
  context_.resize(rect.height, rect.width, cur.n);
  const TokenLayout& layout = networks_->layout;
  presence_.resize(static_cast<size_t>(layout.stages + 1) * static_cast<size_t>(cur.n));
  for (int n = 0; n <= layout.stages; ++n) {
    const uint32_t bits[kMaxStages] = {};
    int8_t vector[kMaxTokenVector];
    token_vector(layout, n, bits, vector);
    networks_->kernels.linear8_rq8(cur, vector, cur.k, 1, nullptr,
                                   presence_.data() + static_cast<ptrdiff_t>(n) * cur.n, cur.n);
  }
}

TilePrior::Order::Order(size_t tokens)
    : states(kSubgroups * (tokens + kOrderedBatch - 1) / kOrderedBatch + kSubgroups) {}

void TilePrior::Order::begin(int count) {
  for (int i = 0; i < count; ++i) {
    states[static_cast<size_t>(i)].store(kWaits, std::memory_order_relaxed);
  }
  coded = 0;
  stopped = false;
}

// Whether the batch was nobody's, and now is the caller's.
bool TilePrior::Order::take(int i) {
  uint8_t expected = kWaits;
  return states[static_cast<size_t>(i)].compare_exchange_strong(expected, kTaken,
                                                                std::memory_order_relaxed);
}

void TilePrior::begin_layer(const Prior& prior, const ActiveTokens& active,
                            std::span<const uint8_t> stages) {
  const SectionScope scope(Section::kPriorBits);
  if (stages.size() != static_cast<size_t>(active.count()) ||
      rect_.y + rect_.height > active.height() || rect_.x + rect_.width > active.width()) {
    throw Error(BSQ_ERROR_ARGUMENT, "the tile or the stage counts do not fit the frame");
  }
  prior_ = &prior;
  active_ = &active;
  stages_ = stages;
  const auto threads = static_cast<size_t>(prior.pool().threads());
  while (scratch_.size() < threads) {
    scratch_.push_back(make_scratch(networks_->prior.stack.size));
  }
  list_tokens();
  context_.prepare(runs_);
  place_presence();
}

// The tile's parts of the frame's runs, and its coded tokens by group.
void TilePrior::list_tokens() {
  runs_.clear();
  for (std::vector<int32_t>& tokens : tokens_) tokens.clear();
  const auto& runs = active_->runs();
  auto run = std::lower_bound(runs.begin(), runs.end(), rect_.y,
                              [](const ActiveTokens::Run& r, int y) { return r.y < y; });
  for (; run != runs.end() && run->y < rect_.y + rect_.height; ++run) {
    const int begin = std::max<int>(run->x, rect_.x);
    const int end = std::min<int>(run->x + run->count, rect_.x + rect_.width);
    if (begin >= end) continue;
    const int first = run->first + begin - run->x;
    runs_.push_back({first, end - begin, static_cast<int16_t>(run->y - rect_.y),
                     static_cast<int16_t>(begin - rect_.x)});
    for (int i = 0; i < end - begin; ++i) {
      const int stages = stages_[static_cast<size_t>(first + i)];
      if (stages > networks_->layout.stages) {
        throw Error(BSQ_ERROR_ARGUMENT, std::to_string(stages) + " stages in a token");
      }
      if (stages > 0) tokens_[token_group(run->y, begin + i)].push_back(first + i);
    }
  }
}

// e of all tokens while no bit is known.
void TilePrior::place_presence() {
  const auto width = static_cast<size_t>(networks_->sizes.prior.width);
  for (const ActiveTokens::Run& run : runs_) {
    int8_t* to = context_.at(run.y, run.x);
    for (int i = 0; i < run.count; ++i, to += width) {
      const size_t stages = stages_[static_cast<size_t>(run.first + i)];
      std::memcpy(to, presence_.data() + stages * width, width);
    }
  }
}

// e of the tokens of a group whose bits are complete.
void TilePrior::embed_group(int group) {
  const LinearView cur = networks_->prior.cur.view();
  const TokenLayout& layout = networks_->layout;
  const std::vector<int32_t>& tokens = tokens_[group];
  for_batches(prior_->pool(), static_cast<int>(tokens.size()), [&](int begin, int end, int thread) {
    BatchScratch& scratch = scratch_[static_cast<size_t>(thread)];
    for (int i = begin; i < end; ++i) {
      const auto token = static_cast<size_t>(tokens[static_cast<size_t>(i)]);
      token_vector(layout, stages_[token], bits_.data() + static_cast<ptrdiff_t>(i) * layout.stages,
                   scratch.tokens.data() + static_cast<ptrdiff_t>(i - begin) * cur.k);
    }
    AlignedVector<int8_t>& e = scratch.embedded;
    networks_->kernels.linear8_rq8(cur, scratch.tokens.data(), cur.k, end - begin, nullptr,
                                   e.data(), cur.n);
    for (int i = begin; i < end; ++i) {
      const TokenPosition at =
          active_->tokens()[static_cast<size_t>(tokens[static_cast<size_t>(i)])];
      std::memcpy(context_.at(at.y - rect_.y, at.x - rect_.x),
                  e.data() + static_cast<ptrdiff_t>(i - begin) * cur.n, static_cast<size_t>(cur.n));
    }
  });
}

void TilePrior::begin_group(int group) {
  const SectionScope scope(Section::kPriorBits, tokens_[group].size());
  if (group > 0) embed_group(group - 1);
  group_ = group;
  pending_ = -1;
  rows_ = tokens_[group];
  slots_.resize(rows_.size());
  for (size_t i = 0; i < slots_.size(); ++i) slots_[i] = static_cast<int32_t>(i);
  bits_.assign(rows_.size() * static_cast<size_t>(networks_->layout.stages), 0);
  const auto width = static_cast<size_t>(networks_->sizes.prior.width);
  if (v_.size() < rows_.size() * width) {
    v_.resize(rows_.size() * width);
    logits_.resize(rows_.size() * kStageBits);
  }
  for_batches(prior_->pool(), static_cast<int>(rows_.size()), [&](int begin, int end, int thread) {
    start_rows(begin, end, scratch_[static_cast<size_t>(thread)]);
  });
}

// v of rows [begin, end) of the group before any bit of it is known.
void TilePrior::start_rows(int begin, int end, BatchScratch& scratch) {
  const PriorWeights& weights = networks_->prior;
  const KernelTable& kernels = networks_->kernels;
  const ptrdiff_t width = networks_->sizes.prior.width;
  int16_t* v = v_.data() + begin * width;
  for (int i = begin; i < end; ++i) {
    const int32_t token = rows_[static_cast<size_t>(i)];
    const TokenPosition at = active_->tokens()[static_cast<size_t>(token)];
    kernels.dwconv5_rq8(weights.ctx.view(), context_.at(at.y - rect_.y, at.x - rect_.x),
                        context_.row_stride(), 1, scratch.narrow.data() + (i - begin) * width,
                        width);
    std::memcpy(v + (i - begin) * width, prior_->stream() + token * width,
                static_cast<size_t>(width) * sizeof *v);
  }
  const int count = end - begin;
  kernels.linear8_rq16(weights.mix.view(), scratch.narrow.data(), width, count, true, v, width);
  kernels.requant8(weights.ffn.in.view(), static_cast<int>(width), v, width, count, nullptr,
                   scratch.narrow.data(), width);
  run_ffn(kernels, weights.ffn, scratch.narrow.data(), count, scratch.hidden.data(), v);
}

std::span<const int32_t> TilePrior::begin_stage(int stage) {
  const SectionScope scope(Section::kPriorBits);
  stage_ = stage;
  const auto width = static_cast<size_t>(networks_->sizes.prior.width);
  size_t kept = 0;
  for (size_t i = 0; i < rows_.size(); ++i) {
    if (stages_[static_cast<size_t>(rows_[i])] <= stage) continue;
    if (kept != i) {
      rows_[kept] = rows_[i];
      slots_[kept] = slots_[i];
      std::memcpy(v_.data() + kept * width, v_.data() + i * width, width * sizeof(int16_t));
    }
    ++kept;
  }
  rows_.resize(kept);
  slots_.resize(kept);
  bytes_.resize(kept);
  return rows_;
}

// v += emb of the eight bits of a head that are known.
void TilePrior::append_bits(int begin, int end, int head, BatchScratch& scratch) {
  const LinearView emb = networks_->prior.emb[static_cast<size_t>(head)].view();
  int8_t* values = scratch.narrow.data();
  for (int i = begin; i < end; ++i) {
    const uint32_t byte = bits_of(i)[head / kSubgroups] >> (kSubgroupBits * (head % kSubgroups));
    for (int k = 0; k < kSubgroupBits; ++k) *values++ = ((byte >> k) & 1U) != 0 ? kOne : int8_t{0};
  }
  networks_->kernels.linear8_rq16(emb, scratch.narrow.data(), kSubgroupBits, end - begin, true,
                                  v_.data() + static_cast<ptrdiff_t>(begin) * emb.n, emb.n);
}

// The logits of a sub-group of rows of which all earlier ones are known.
void TilePrior::make_logits(int begin, int end, int subgroup, BatchScratch& scratch) {
  const PriorWeights& weights = networks_->prior;
  const KernelTable& kernels = networks_->kernels;
  const int head = stage_ * kSubgroups + subgroup;
  const LinearView to_logits = weights.head[static_cast<size_t>(head)].view();
  const int width = networks_->sizes.prior.width;
  const int before = subgroup > 0 ? head - 1 : pending_;
  if (before >= 0) append_bits(begin, end, before, scratch);
  kernels.requant8(weights.head_in[static_cast<size_t>(head)].view(), width,
                   v_.data() + static_cast<ptrdiff_t>(begin) * width, width, end - begin,
                   weights.head_table.data(), scratch.narrow.data(), width);
  kernels.linear8_rq16(to_logits, scratch.narrow.data(), width, end - begin, false,
                       logits_at(begin, subgroup), kSubgroupBits);
}

// Has rows coded whose logits are there.
void TilePrior::code_rows(int begin, int end, int subgroup, const Code& code) {
  uint8_t* bytes = bytes_.data() + begin;
  code(begin, end, subgroup, logits_at(begin, subgroup), bytes);
  const int shift = kSubgroupBits * subgroup;
  for (int i = begin; i < end; ++i) bits_of(i)[stage_] |= uint32_t{*bytes++} << shift;
}

void TilePrior::stage_apart(const Code& code) {
  const SectionScope scope(Section::kPriorBits);
  for_batches(prior_->pool(), static_cast<int>(rows_.size()), [&](int begin, int end, int thread) {
    BatchScratch& scratch = scratch_[static_cast<size_t>(thread)];
    for (int j = 0; j < kSubgroups; ++j) {
      make_logits(begin, end, j, scratch);
      code_rows(begin, end, j, code);
    }
  });
  pending_ = stage_ * kSubgroups + kSubgroups - 1;
}

void TilePrior::stage_in_order(const Code& code) {
  const SectionScope scope(Section::kPriorBits);
  ThreadPool& pool = prior_->pool();
  const bool helped = pool.spins() && pool.threads() > 1;
  const Batches batches{static_cast<int>(rows_.size()), helped ? kOrderedBatch : kMaxBatch};
  order_->begin(batches.count() * kSubgroups);
  const int threads = helped ? std::min(batches.count(), pool.threads()) : 1;
  pool.parallel_ranges(static_cast<size_t>(threads), [&](size_t begin, size_t, int thread) {
    BatchScratch& scratch = scratch_[static_cast<size_t>(thread)];
    if (begin > 0) {
      help(batches, scratch);
      return;
    }
    try {
      code_batches(batches, code, scratch);
    } catch (...) {
      order_->stopped = true;
      throw;
    }
  });
  pending_ = stage_ * kSubgroups + kSubgroups - 1;
}

// The calling thread's part: makes the logits that nobody has begun when their turn comes.
void TilePrior::code_batches(const Batches& batches, const Code& code, BatchScratch& scratch) {
  const int count = batches.count();
  for (int i = 0; i < count * kSubgroups; ++i) {
    const int begin = batches.begin(i % count);
    const int end = batches.end(i % count);
    if (order_->take(i)) {
      make_logits(begin, end, i / count, scratch);
    } else {
      const std::atomic<uint8_t>& state = order_->states[static_cast<size_t>(i)];
      ThreadPool::watch([&] { return state.load(std::memory_order_acquire) == Order::kThere; });
    }
    code_rows(begin, end, i / count, code);
    order_->coded.store(i + 1, std::memory_order_release);
  }
}

// The other threads' part: logits of batches of which the sub-group before has been coded.
void TilePrior::help(const Batches& batches, BatchScratch& scratch) {
  const int count = batches.count();
  // The first batch is the calling thread's.
  for (int i = 1; i < count * kSubgroups; ++i) {
    ThreadPool::watch([&] {
      return order_->coded.load(std::memory_order_acquire) > i - count || order_->stopped;
    });
    if (order_->stopped) return;
    if (!order_->take(i)) continue;
    make_logits(batches.begin(i % count), batches.end(i % count), i / count, scratch);
    order_->states[static_cast<size_t>(i)].store(Order::kThere, std::memory_order_release);
  }
}

const int16_t* TilePrior::pair(int subgroup) const {
  return networks_->prior.pair.data() +
         static_cast<ptrdiff_t>(stage_ * kSubgroups + subgroup) * kSubgroupBits * kSubgroupBits;
}

}  // namespace bsq
