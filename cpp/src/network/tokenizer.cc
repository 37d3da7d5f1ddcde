// The two halves of the tokenizer on the active tokens of a frame.
#include "network/tokenizer.h"

#include <cstring>
#include <utility>

#include "base/section_clock.h"

namespace bsq {

TokenizerEncoder::TokenizerEncoder(std::shared_ptr<const Networks> networks, ThreadPool& pool)
    : networks_(std::move(networks)), stack_(networks_->kernels, networks_->encoder.stack, pool) {}

void TokenizerEncoder::encode(const ActiveTokens& active, const int16_t* residual,
                              const int16_t* side, int8_t* z) {
  const SectionScope scope(Section::kAnalysis, static_cast<size_t>(active.count()));
  const EncoderWeights& weights = networks_->encoder;
  const KernelTable& kernels = networks_->kernels;
  const LinearView in = weights.in.view();
  const LinearView head = weights.head.view();
  const auto input = [&](int begin, int end, int16_t* x, BatchScratch& scratch) {
    int16_t* features = scratch.features.data();
    for (ptrdiff_t t = begin; t < end; ++t, features += in.k) {
      std::memcpy(features, residual + t * kSampleVector, kSampleVector * sizeof *features);
      std::memcpy(features + kSampleVector, side + t * kSideVector, kSideVector * sizeof *features);
    }
    kernels.linear16_rq16(in, scratch.features.data(), in.k, end - begin, false, x, in.n);
  };
  const auto output = [&](int begin, int end, const int8_t* f, BatchScratch&) {
    kernels.linear8_rq8(head, f, head.k, end - begin, nullptr,
                        z + static_cast<ptrdiff_t>(begin) * head.n, head.n);
  };
  stack_.run(active, input, output);
}

TokenizerDecoder::TokenizerDecoder(std::shared_ptr<const Networks> networks, ThreadPool& pool)
    : networks_(std::move(networks)), stack_(networks_->kernels, networks_->decoder.stack, pool) {}

void TokenizerDecoder::decode(const ActiveTokens& active, const int8_t* tokens, const int16_t* side,
                              int16_t* out) {
  const SectionScope scope(Section::kSynthesis, static_cast<size_t>(active.count()));
  const DecoderWeights& weights = networks_->decoder;
  const KernelTable& kernels = networks_->kernels;
  const LinearView to_samples = weights.out.view();
  const auto input = [&](int begin, int end, int16_t* x, BatchScratch&) {
    run_token_input(kernels, weights.tok.view(), weights.side.view(), tokens, side, begin, end, x);
  };
  const auto output = [&](int begin, int end, const int8_t* f, BatchScratch&) {
    kernels.linear8_rq16(to_samples, f, to_samples.k, end - begin, false,
                         out + static_cast<ptrdiff_t>(begin) * kSampleVector, kSampleVector);
  };
  stack_.run(active, input, output);
}

}  // namespace bsq
