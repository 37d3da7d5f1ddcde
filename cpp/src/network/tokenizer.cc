// The two halves of the tokenizer on the active tokens of a picture.
#include "network/tokenizer.h"

#include <cstring>
#include <utility>

namespace bsq {

TokenizerEncoder::TokenizerEncoder(std::shared_ptr<const Networks> networks, ThreadPool& pool)
    : networks_(std::move(networks)),
      pool_(pool),
      stack_(networks_->kernels, networks_->encoder.stack, pool) {}

void TokenizerEncoder::run(const ActiveTokens& active, const int16_t* residual,
                           const int16_t* side) {
  const EncoderWeights& weights = networks_->encoder;
  const KernelTable& kernels = networks_->kernels;
  const LinearView in = weights.in.view();
  const LinearView head = weights.head.view();
  const size_t needed = static_cast<size_t>(active.count()) * kSampleVector;
  if (heads_.size() < needed) heads_.resize(needed);
  const auto input = [&](int begin, int end, int16_t* x, TileScratch& scratch) {
    int16_t* features = scratch.features.data();
    for (ptrdiff_t t = begin; t < end; ++t, features += in.k) {
      std::memcpy(features, residual + t * kSampleVector, kSampleVector * sizeof *features);
      std::memcpy(features + kSampleVector, side + t * kSideVector, kSideVector * sizeof *features);
    }
    kernels.linear16_rq16(in, scratch.features.data(), in.k, end - begin, false, x, in.n);
  };
  const auto output = [&](int begin, int end, const int8_t* f, TileScratch&) {
    kernels.linear8_s32(head, f, head.k, end - begin,
                        heads_.data() + static_cast<ptrdiff_t>(begin) * kSampleVector, head.n);
  };
  stack_.run(active, input, output);
}

void TokenizerEncoder::stage_sums(int stage, const int32_t* heads, const uint32_t bits[kStages],
                                  int32_t z[kStageBits]) const {
  // Sums within a stage cannot overflow, in any order: numerics.md section 6.
  std::memcpy(z, heads + stage * kStageBits, kStageBits * sizeof *z);
  for (int q = 0; q < stage; ++q) {
    const int32_t* feedback = networks_->encoder.feedback[stage == 1 ? 0 : 1 + q].data();
    for (int j = 0; j < kStageBits; ++j, feedback += kStageBits) {
      // (f ^ mask) - mask is f for the mask 0 and -f for -1.
      const int32_t mask = ((bits[q] >> j) & 1U) != 0 ? 0 : -1;
      for (int i = 0; i < kStageBits; ++i) z[i] += (feedback[i] ^ mask) - mask;
    }
  }
}

void TokenizerEncoder::encode(const ActiveTokens& active, const int16_t* residual,
                              const int16_t* side, uint32_t* bits) {
  run(active, residual, side);
  for_tiles(pool_, active.count(), [&](int begin, int end, int) {
    for (ptrdiff_t t = begin; t < end; ++t) {
      uint32_t* token = bits + t * kStages;
      for (int s = 0; s < kStages; ++s) {
        int32_t z[kStageBits];
        stage_sums(s, heads_.data() + t * kSampleVector, token, z);
        uint32_t word = 0;
        for (int i = 0; i < kStageBits; ++i) word |= static_cast<uint32_t>(z[i] >= 0) << i;
        token[s] = word;
      }
    }
  });
}

TokenizerDecoder::TokenizerDecoder(std::shared_ptr<const Networks> networks, ThreadPool& pool)
    : networks_(std::move(networks)), stack_(networks_->kernels, networks_->decoder.stack, pool) {}

void TokenizerDecoder::decode(const ActiveTokens& active, const int8_t* tokens, const int16_t* side,
                              int16_t* out) {
  const DecoderWeights& weights = networks_->decoder;
  const KernelTable& kernels = networks_->kernels;
  const LinearView from_tokens = weights.tok.view();
  const LinearView from_side = weights.side.view();
  const LinearView to_samples = weights.out.view();
  const auto input = [&](int begin, int end, int16_t* x, TileScratch&) {
    const ptrdiff_t first = begin;
    kernels.linear8_rq16(from_tokens, tokens + first * kTokenVector, kTokenVector, end - begin,
                         false, x, from_tokens.n);
    kernels.linear16_rq16(from_side, side + first * kSideVector, kSideVector, end - begin, true, x,
                          from_side.n);
  };
  const auto output = [&](int begin, int end, const int8_t* f, TileScratch&) {
    kernels.linear8_rq16(to_samples, f, to_samples.k, end - begin, false,
                         out + static_cast<ptrdiff_t>(begin) * kSampleVector, kSampleVector);
  };
  stack_.run(active, input, output);
}

}  // namespace bsq
