// Energies and errors of tokens, and the decisions made from them.
#include "codec/encoder/mode/token_decision.h"

#include <algorithm>
#include <atomic>

#include "base/quant_step.h"
#include "codec/encoder/mode/distortion.h"
#include "codec/encoder/mode/quantization.h"
#include "network/samples.h"

namespace bsq {
namespace {

constexpr int kLumaSamples = 64;

TokenScale token_scale(const TokenSteps& steps, int y, int x, int bit_depth) {
  return {TokenScale::of_step(step_q8(steps.at(y, x)), bit_depth),
          TokenScale::of_step(step_q8(steps.chroma_at(y, x)), bit_depth)};
}

double weighted_error(const TokenSamples& wanted, const TokenSamples& samples,
                      const TokenScale& scale, const Tuning& tuning) {
  const TokenError error = squared_error(wanted, samples);
  return weighted_error(error.luma, error.chroma, squared_mean_errors(wanted, samples).data(),
                        scale, tuning.mean_weights.data());
}

// What a token's error is, in squared steps, with and without what the decoder network gives.
class TokenDistortion {
 public:
  TokenDistortion(const LayerInput& layer, const Tuning& tuning, TokenPosition at)
      : tuning_(tuning),
        depth_(layer.source.bit_depth),
        gray_(layer.source.plane_count == 1),
        q_(layer.steps.at(at.y, at.x)),
        chroma_q_(layer.steps.chroma_at(at.y, at.x)),
        own_(token_scale(layer.steps, at.y, at.x, depth_)),
        wanted_(token_samples(layer.source, at.y, at.x)),
        predicted_(token_samples(layer.prediction, at.y, at.x)) {}

  double error_without() const { return weighted_error(wanted_, predicted_, own_, tuning_); }
  double error_with(const int16_t* output) const {
    TokenSamples samples = predicted_;
    reconstruct_token(output, q_, chroma_q_, depth_, samples.data());
    // A gray frame drops the network's chroma, and both have the middle value.
    if (gray_)
      std::copy(wanted_.begin() + kLumaSamples, wanted_.end(), samples.begin() + kLumaSamples);
    return weighted_error(wanted_, samples, own_, tuning_);
  }

 private:
  const Tuning& tuning_;
  const int depth_;
  const bool gray_;
  const int q_;
  const int chroma_q_;
  const TokenScale own_;
  const TokenSamples wanted_;
  const TokenSamples predicted_;
};

}  // namespace

bool find_coded_tokens(const LayerInput& layer, double energy,
                       const std::vector<uint8_t>& sample_coded, DifferenceField& differences,
                       TokenField& tokens) {
  const Frame& source = layer.source;
  std::atomic<bool> any = false;
  layer.pool.parallel_rows(static_cast<size_t>(tokens.height), [&](size_t row) {
    const int y = static_cast<int>(row);
    bool found = false;
    for (int x = 0; x < tokens.width; ++x) {
      const size_t at = tokens.at(y, x);
      TokenDifference& difference = differences.tokens[at];
      if (differences.stale[at] != 0) {
        difference = {token_samples(source, y, x), token_samples(layer.prediction, y, x)};
        differences.stale[at] = 0;
      }
      const bool candidate =
          sample_coded[at] == 0 &&
          token_energy(difference.luma_sum, difference.error.luma, difference.error.chroma,
                       token_scale(layer.steps, y, x, source.bit_depth),
                       kDecisions.mean_limit) >= energy;
      tokens.stages[at] = candidate ? 1 : 0;
      found |= candidate;
    }
    if (found) any = true;
  });
  return any;
}

void mark_superblocks(const TokenField& tokens, const Geometry& geometry,
                      std::vector<uint8_t>& superblocks) {
  std::fill(superblocks.begin(), superblocks.end(), uint8_t{0});
  for (int y = 0; y < tokens.height; ++y) {
    for (int x = 0; x < tokens.width; ++x) {
      if (tokens.stages[tokens.at(y, x)] == 0) continue;
      superblocks[geometry.superblock_index(x / kSuperblockTokens, y / kSuperblockTokens)] = 1;
    }
  }
}

bool zero_out_tokens(const RdInput& input, const CodedTokens& coded, TokenField& tokens) {
  std::atomic<bool> changed = false;
  input.layer.pool.parallel_for(static_cast<size_t>(input.active.count()), [&](size_t i) {
    const TokenPosition at = input.active.tokens()[i];
    uint8_t& stages = tokens.stages[tokens.at(at.y, at.x)];
    if (stages == 0) return;
    const TokenDistortion distortion(input.layer, input.tuning, at);
    const double gain =
        distortion.error_without() - distortion.error_with(coded.output + i * kSampleVector);
    const double bits = bits_of(coded.token_rates[i]) + kDecisions.flag_bits;
    if (gain >= input.lambda * bits) return;
    stages = 0;
    changed = true;
  });
  return changed;
}

void keep_lower_cost(const RdInput& input, const TokenCoding& other, TokenCoding& best) {
  input.layer.pool.parallel_for(static_cast<size_t>(input.active.count()), [&](size_t i) {
    const TokenPosition at = input.active.tokens()[i];
    const size_t token = best.tokens.at(at.y, at.x);
    const int stages = other.tokens.stages[token];
    if (stages == 0) return;
    const TokenDistortion distortion(input.layer, input.tuning, at);
    const auto cost = [&](const TokenCoding& choice) {
      return distortion.error_with(&choice.output[i * kSampleVector]) +
             input.lambda * bits_of(choice.token_rates[i]);
    };
    if (cost(other) >= cost(best)) return;
    best.tokens.stages[token] = static_cast<uint8_t>(stages);
    std::copy_n(other.tokens.words(token), stages, best.tokens.words(token));
    best.token_rates[i] = other.token_rates[i];
    std::copy_n(&other.output[i * kSampleVector], kSampleVector, &best.output[i * kSampleVector]);
  });
}

}  // namespace bsq
