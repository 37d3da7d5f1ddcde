// Residual blocks on the active tokens of a frame, batch by batch. docs/numerics.md section 2.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/function_ref.h"
#include "base/thread_pool.h"
#include "kernels/aligned.h"
#include "network/layers.h"
#include "network/token_field.h"

namespace bsq {

// A frame of s8 vectors with two zero tokens on every side, so that a depthwise convolution needs
// no test at the borders. Tokens that are not written are zero.
class PaddedGrid {
 public:
  static constexpr int kBorder = 2;

  // Makes room; everything is zero afterwards if a size changes.
  void resize(int height, int width, int channels);
  // Zeroes what an earlier list had beyond this one; what both have stays until it is written.
  void prepare(const std::vector<ActiveTokens::Run>& runs);

  ptrdiff_t row_stride() const { return row_stride_; }
  int8_t* at(int y, int x) {
    return data_.data() + (y + kBorder) * row_stride_ +
           static_cast<ptrdiff_t>(x + kBorder) * channels_;
  }
  const int8_t* at(int y, int x) const {
    return data_.data() + (y + kBorder) * row_stride_ +
           static_cast<ptrdiff_t>(x + kBorder) * channels_;
  }

 private:
  int height_ = 0;
  int width_ = 0;
  int channels_ = 0;
  ptrdiff_t row_stride_ = 0;
  AlignedVector<int8_t> data_;
  std::vector<ActiveTokens::Run> runs_;
};

constexpr int kMaxBatch = 96;

// Calls fn(begin, end, thread) for batches that cover [0, count): tokens that go through a chain of
// layers together, so that what is between the layers stays in the cache. Up to `serial` tokens,
// for which calling another thread costs more than it saves, run in the calling thread.
constexpr int kSerialTokens = 24;
void for_batches(ThreadPool& pool, int count, FunctionRef<void(int begin, int end, int thread)> fn,
                 int serial = kSerialTokens);

// Working memory of one thread for one batch.
struct BatchScratch {
  AlignedVector<int8_t> narrow;     // [kMaxBatch, width]
  AlignedVector<int8_t> embedded;   // the same again
  AlignedVector<int8_t> tokens;     // [kMaxBatch, kMaxTokenVector]
  AlignedVector<int8_t> hidden;     // [kMaxBatch, hidden]
  AlignedVector<int16_t> features;  // [kMaxBatch, 200]
};
BatchScratch make_scratch(const NetworkSize& size);

// x = add16(x, rq16(fc2(table(rq8(fc1(d)))))) for `rows` rows.
void run_ffn(const KernelTable& kernels, const FfnWeights& ffn, const int8_t* d, int rows,
             int8_t* hidden, int16_t* x);

// x = add16(rq16(from_tokens(tokens)), rq16(from_side(side))) for tokens [begin, end): the input of
// the decoder and of the prior.
void run_token_input(const KernelTable& kernels, const LinearView& from_tokens,
                     const LinearView& from_side, const int8_t* tokens, const int16_t* side,
                     int begin, int end, int16_t* x);

class BlockStack {
 public:
  // Writes the residual stream of tokens [begin, end) at x.
  using Input = FunctionRef<void(int begin, int end, int16_t* x, BatchScratch& scratch)>;
  // Takes rq8(x; f) of tokens [begin, end): [end - begin, width].
  using Output = FunctionRef<void(int begin, int end, const int8_t* f, BatchScratch& scratch)>;

  // `weights` must outlive the object.
  BlockStack(const KernelTable& kernels, const StackWeights& weights, ThreadPool& pool);

  void run(const ActiveTokens& active, const Input& input, const Output& output);

  // The residual stream [active.count(), width] after the last run().
  const int16_t* stream() const { return x_.data(); }

 private:
  void after_block(int next, const ActiveTokens& active, int begin, int end, const Output& output,
                   BatchScratch& scratch);
  void run_block(int index, const ActiveTokens& active, int begin, int end, BatchScratch& scratch);

  const KernelTable& kernels_;
  const StackWeights& weights_;
  ThreadPool& pool_;
  AlignedVector<int16_t> x_;
  PaddedGrid grids_[2];  // a of even and odd blocks
  std::vector<BatchScratch> scratch_;
};

}  // namespace bsq
