// Residual blocks on the active tokens of a frame, batch by batch.
#include "network/block_stack.h"

#include <algorithm>
#include <cstring>

namespace bsq {
namespace {

constexpr int kRowStep = 6;  // a batch is a multiple of what kernels take at once

// Calls fn(run, first token of the part, count) for the parts of runs within tokens [begin, end).
template <class Fn>
void for_runs(const ActiveTokens& active, int begin, int end, const Fn& fn) {
  const auto& runs = active.runs();
  auto run =
      std::upper_bound(runs.begin(), runs.end(), begin,
                       [](int token, const ActiveTokens::Run& r) { return token < r.first; });
  --run;
  for (int t = begin; t < end; ++run) {
    const int part = std::min(end, run->first + run->count) - t;
    fn(*run, t, part);
    t += part;
  }
}

}  // namespace

void PaddedGrid::resize(int height, int width, int channels) {
  if (height == height_ && width == width_ && channels == channels_) return;
  height_ = height;
  width_ = width;
  channels_ = channels;
  row_stride_ = static_cast<ptrdiff_t>(width + 2 * kBorder) * channels;
  data_.assign(static_cast<size_t>(row_stride_) * static_cast<size_t>(height + 2 * kBorder), 0);
  runs_.clear();
  runs_.reserve(max_runs(height, width));
}

void PaddedGrid::prepare(const std::vector<ActiveTokens::Run>& runs) {
  const auto equal = [](const ActiveTokens::Run& a, const ActiveTokens::Run& b) {
    return a.y == b.y && a.x == b.x && a.count == b.count;
  };
  if (std::equal(runs.begin(), runs.end(), runs_.begin(), runs_.end(), equal)) return;
  const auto zero = [this](int y, int x, int end) {
    std::memset(at(y, x), 0, static_cast<size_t>(end - x) * static_cast<size_t>(channels_));
  };
  auto next = runs.begin();
  for (const ActiveTokens::Run& old : runs_) {
    int x = old.x;
    const int end = old.x + old.count;
    const auto is_before = [&](const ActiveTokens::Run& r) {
      return r.y < old.y || (r.y == old.y && r.x + r.count <= x);
    };
    while (next != runs.end() && is_before(*next)) ++next;
    for (auto r = next; r != runs.end() && r->y == old.y && r->x < end; ++r) {
      if (r->x > x) zero(old.y, x, r->x);
      x = r->x + r->count;
    }
    if (x < end) zero(old.y, x, end);
  }
  runs_ = runs;
}

void for_batches(ThreadPool& pool, int count, FunctionRef<void(int begin, int end, int thread)> fn,
                 int serial) {
  if (count <= 0) return;
  if (count <= std::min(serial, kMaxBatch)) return fn(0, count, 0);
  const int share = (count + pool.threads() - 1) / pool.threads();
  const int batch = std::min(kMaxBatch, (share + kRowStep - 1) / kRowStep * kRowStep);
  const auto batches = static_cast<size_t>((count + batch - 1) / batch);
  pool.parallel_ranges(batches, [&](size_t begin, size_t end, int thread) {
    for (size_t i = begin; i < end; ++i) {
      const int first = static_cast<int>(i) * batch;
      fn(first, std::min(count, first + batch), thread);
    }
  });
}

BatchScratch make_scratch(const NetworkSize& size) {
  BatchScratch scratch;
  const auto batch = static_cast<size_t>(kMaxBatch);
  scratch.narrow.resize(batch * static_cast<size_t>(size.width));
  scratch.embedded.resize(scratch.narrow.size());
  scratch.hidden.resize(batch * static_cast<size_t>(size.hidden));
  scratch.tokens.resize(batch * kMaxTokenVector);
  scratch.features.resize(batch * (kSampleVector + kSideVector));
  return scratch;
}

void run_ffn(const KernelTable& kernels, const FfnWeights& ffn, const int8_t* d, int rows,
             int8_t* hidden, int16_t* x) {
  const LinearView fc1 = ffn.fc1.view();
  const LinearView fc2 = ffn.fc2.view();
  kernels.linear8_rq8(fc1, d, fc1.k, rows, ffn.table.data(), hidden, fc1.n);
  kernels.linear8_rq16(fc2, hidden, fc2.k, rows, true, x, fc2.n);
}

void run_token_input(const KernelTable& kernels, const LinearView& from_tokens,
                     const LinearView& from_side, const int8_t* tokens, const int16_t* side,
                     int begin, int end, int16_t* x) {
  const ptrdiff_t first = begin;
  kernels.linear8_rq16(from_tokens, tokens + first * from_tokens.k, from_tokens.k, end - begin,
                       false, x, from_tokens.n);
  kernels.linear16_rq16(from_side, side + first * kSideVector, kSideVector, end - begin, true, x,
                        from_side.n);
}

BlockStack::BlockStack(const KernelTable& kernels, const StackWeights& weights, ThreadPool& pool)
    : kernels_(kernels), weights_(weights), pool_(pool) {
  for (int i = 0; i < pool.threads(); ++i) scratch_.push_back(make_scratch(weights.size));
}

void BlockStack::run(const ActiveTokens& active, const Input& input, const Output& output) {
  const int width = weights_.size.width;
  const auto needed = static_cast<size_t>(active.count()) * static_cast<size_t>(width);
  if (x_.size() < needed) x_.resize(needed);
  for (PaddedGrid& grid : grids_) {
    grid.resize(active.height(), active.width(), width);
    grid.prepare(active.runs());
  }
  for (int block = -1; block < weights_.size.blocks; ++block) {
    for_batches(pool_, active.count(), [&](int begin, int end, int thread) {
      BatchScratch& scratch = scratch_[static_cast<size_t>(thread)];
      if (block < 0) {
        input(begin, end, x_.data() + static_cast<ptrdiff_t>(begin) * width, scratch);
      } else {
        run_block(block, active, begin, end, scratch);
      }
      after_block(block + 1, active, begin, end, output, scratch);
    });
  }
}

// Makes the input of block `next`, or the output when there is none.
void BlockStack::after_block(int next, const ActiveTokens& active, int begin, int end,
                             const Output& output, BatchScratch& scratch) {
  const int width = weights_.size.width;
  if (next == weights_.size.blocks) {
    kernels_.requant8(weights_.f.view(), width, x_.data() + static_cast<ptrdiff_t>(begin) * width,
                      width, end - begin, nullptr, scratch.narrow.data(), width);
    output(begin, end, scratch.narrow.data(), scratch);
    return;
  }
  const RequantView in = weights_.blocks[static_cast<size_t>(next)].ffn.in.view();
  PaddedGrid& grid = grids_[next % 2];
  for_runs(active, begin, end, [&](const ActiveTokens::Run& run, int t, int count) {
    kernels_.requant8(in, width, x_.data() + static_cast<ptrdiff_t>(t) * width, width, count,
                      nullptr, grid.at(run.y, run.x + t - run.first), width);
  });
}

void BlockStack::run_block(int index, const ActiveTokens& active, int begin, int end,
                           BatchScratch& scratch) {
  const int width = weights_.size.width;
  const BlockWeights& block = weights_.blocks[static_cast<size_t>(index)];
  const DepthwiseView dw = block.dw.view();
  const PaddedGrid& grid = grids_[index % 2];
  for_runs(active, begin, end, [&](const ActiveTokens::Run& run, int t, int count) {
    kernels_.dwconv5_rq8(dw, grid.at(run.y, run.x + t - run.first), grid.row_stride(), count,
                         scratch.narrow.data() + static_cast<ptrdiff_t>(t - begin) * width, width);
  });
  run_ffn(kernels_, block.ffn, scratch.narrow.data(), end - begin, scratch.hidden.data(),
          x_.data() + static_cast<ptrdiff_t>(begin) * width);
}

}  // namespace bsq
