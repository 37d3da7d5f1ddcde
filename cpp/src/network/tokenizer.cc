// The two halves of the tokenizer on the active tokens of a frame.
#include "network/tokenizer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/section_clock.h"
#include "network/response.h"

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

TokenizerResponse::TokenizerResponse(std::shared_ptr<const Networks> networks, ThreadPool& pool)
    : networks_(std::move(networks)), pool_(pool) {}

void TokenizerResponse::latents(const ActiveTokens& active, const TokenField& tokens,
                                const int16_t* residual, const int16_t* output, int per_unit,
                                int8_t* z) {
  const auto count = static_cast<size_t>(active.count());
  const SectionScope scope(Section::kAnalysis, count);
  const std::vector<int16_t>& energy = networks_->encoder.response.energy;
  const int16_t* gain = gains(active, residual, output);
  pool_.parallel_for(count, [&](size_t t) {
    const TokenPosition at = active.tokens()[t];
    const size_t token = tokens.at(at.y, at.x);
    for (size_t i = 0; i < energy.size(); ++i) {
      const size_t stage = i / kStageBits;
      const bool one = stage < tokens.stages[token] &&
                       (tokens.words(token)[stage] >> (i % kStageBits) & 1U) != 0;
      const size_t at_bit = t * energy.size() + i;
      z[at_bit] = response_latent(gain[at_bit], energy[i], one, per_unit);
    }
  });
}

const int16_t* TokenizerResponse::gains(const ActiveTokens& active, const int16_t* residual,
                                        const int16_t* output) {
  const auto count = static_cast<size_t>(active.count());
  error_.resize(count * kSampleVector);
  neighbour_.resize(error_.size());
  gain_.resize(count * networks_->encoder.response.energy.size());
  pool_.parallel_for(count, [&](size_t t) {
    for (size_t i = t * kSampleVector; i < (t + 1) * kSampleVector; ++i) {
      error_[i] = static_cast<int16_t>(response_error(residual[i], output[i]));
    }
  });
  for (int i = 0; i < kNeighbourhood; ++i) add_neighbour(active, i);
  return gain_.data();
}

// Adds what the errors of one neighbour of every token say.
void TokenizerResponse::add_neighbour(const ActiveTokens& active, int neighbour) {
  const int dy = neighbour / 3 - 1;
  const int dx = neighbour % 3 - 1;
  const LinearView layer =
      networks_->encoder.response.around[static_cast<size_t>(neighbour)].view();
  pool_.parallel_ranges(static_cast<size_t>(active.count()), [&](size_t begin, size_t end, int) {
    for (size_t t = begin; t < end; ++t) {
      const TokenPosition at = active.tokens()[t];
      const int y = at.y + dy;
      const int x = at.x + dx;
      const bool inside = y >= 0 && x >= 0 && y < active.height() && x < active.width();
      const int from = inside ? active.index(y, x) : -1;
      int16_t* to = &neighbour_[t * kSampleVector];
      if (from < 0) {
        std::fill_n(to, kSampleVector, int16_t{0});
      } else {
        std::copy_n(&error_[static_cast<size_t>(from) * kSampleVector], kSampleVector, to);
      }
    }
    networks_->kernels.linear16_rq16(layer, &neighbour_[begin * kSampleVector], kSampleVector,
                                     static_cast<int>(end - begin), neighbour != 0,
                                     &gain_[begin * static_cast<size_t>(layer.n)], layer.n);
  });
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
