// Adaptive bits: probabilities mixed from the estimates of several contexts (normative,
// docs/bitstream.md section 3.2).
//
// A bit has a context in each of a few inputs. A context estimates how likely a 1 is after what was
// seen in it. The estimates, as logits, are added up under weights that follow how well they
// predict: the logit of the mix gives the probability.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "entropy/logistic.h"
#include "entropy/range_coder.h"

namespace bsq {

constexpr int kStretchBits = 12;
// kStretch[i] is round(256 * ln(p / (1 - p))) of p = (i + 1/2) / 4096, from -2307 to 2307.
extern const int16_t kStretch[1 << kStretchBits];

// An estimate. It moves towards each bit by a share that falls as it has seen more: the mean of the
// bits at first, later one that forgets.
class BitContext {
 public:
  static constexpr int kCountLimit = 60;
  // kShares[n] is floor(65536 / (n + 1.6)).
  static constexpr std::array<int32_t, kCountLimit + 1> kShares = [] {
    std::array<int32_t, kCountLimit + 1> shares{};
    for (int n = 0; n <= kCountLimit; ++n) shares[static_cast<size_t>(n)] = 655360 / (10 * n + 16);
    return shares;
  }();

  constexpr BitContext() = default;
  constexpr BitContext(uint16_t estimate, uint8_t count) : estimate_(estimate), count_(count) {}

  int32_t logit() const { return kStretch[estimate_ >> (kProbabilityBits - kStretchBits)]; }
  // Of a 1, in units of 2^-16.
  uint32_t probability() const {
    return static_cast<uint32_t>(
        std::clamp<int32_t>(estimate_, kLeastProbability, kMostProbability));
  }

  void update(bool bit) {
    const int32_t target = bit ? 65535 : 0;
    const int32_t share = kShares[count_];
    estimate_ = static_cast<uint16_t>(estimate_ +
                                      ((int64_t{target - estimate_} * share) >> kProbabilityBits));
    if (count_ < kCountLimit) ++count_;
  }

  // No symbol costs more than 11 bits.
  static constexpr int32_t kLeastProbability = 32;
  static constexpr int32_t kMostProbability = 65535 - 31;

 private:
  uint16_t estimate_ = kProbabilityHalf;
  uint8_t count_ = 0;
};

// One bit: its contexts, and the weights of the mix. `kLogits`: how many logits it has besides, 0
// or 1.
template <size_t kContexts, size_t kLogits = 0>
class MixedBit {
 public:
  static constexpr size_t kWeights = kContexts + kLogits + 1;  // the last one is of a constant

  using Contexts = std::array<BitContext*, kContexts>;
  using Weights = std::array<int32_t, kWeights>;  // Q16

  // Both must outlive the object.
  MixedBit(const Contexts& contexts, Weights& weights, int32_t logit = 0)
      : contexts_(contexts), weights_(weights) {
    for (size_t i = 0; i < kContexts; ++i) inputs_[i] = contexts[i]->logit();
    if constexpr (kLogits != 0) inputs_[kContexts] = std::clamp(logit, -kMaxLogit, kMaxLogit);
    inputs_[kWeights - 1] = kConstant;
    int64_t sum = 0;
    for (size_t i = 0; i < kWeights; ++i) sum += int64_t{inputs_[i]} * weights[i];
    const auto mixed =
        static_cast<int32_t>(std::clamp<int64_t>(sum >> kWeightBits, -kMaxLogit, kMaxLogit));
    probability_ = static_cast<uint32_t>(
        std::clamp(static_cast<int32_t>(probability_from_logit(mixed)),
                   BitContext::kLeastProbability, BitContext::kMostProbability));
  }

  // Of a 1, in units of 2^-16.
  uint32_t probability() const { return probability_; }

  void update(bool bit) {
    const int32_t error = (bit ? 65536 : 0) - static_cast<int32_t>(probability_);
    for (size_t i = 0; i < kWeights; ++i) {
      const auto step =
          static_cast<int32_t>((int64_t{inputs_[i]} * error + (1 << (kStepBits - 1))) >> kStepBits);
      weights_[i] = std::clamp(weights_[i] + step, -kWeightLimit, kWeightLimit);
    }
    for (BitContext* context : contexts_) context->update(bit);
  }

  static constexpr int kWeightBits = 16;
  static constexpr int kStepBits = 15;
  static constexpr int32_t kWeightLimit = 1 << 19;

 private:
  static constexpr int32_t kConstant = 256;

  const Contexts contexts_;
  Weights& weights_;
  std::array<int32_t, kWeights> inputs_;
  uint32_t probability_ = 0;
};

// The contexts and weights of one kind of symbols: inputs with so many contexts each, and sets of
// weights.
template <size_t kLogits, size_t kSets, size_t... kSizes>
class MixedContextsOf {
 public:
  static constexpr size_t kInputs = sizeof...(kSizes);

  using Bit = MixedBit<kInputs, kLogits>;
  using Numbers = std::array<size_t, kInputs>;

  MixedContextsOf() {
    typename Bit::Weights start{};
    start.fill(kLogits == 0 ? static_cast<int32_t>((1 << Bit::kWeightBits) / kInputs)
                            : static_cast<int32_t>((1 << Bit::kWeightBits) / (4 * kInputs)));
    if constexpr (kLogits != 0) start[kInputs] = 1 << Bit::kWeightBits;
    start[kInputs + kLogits] = 0;
    weights_.fill(start);
  }

  // A bit with the weights of a set, and the context `numbers[i]` of each input i.
  Bit bit(size_t set, const Numbers& numbers, int32_t logit = 0) {
    typename Bit::Contexts found;
    for (size_t i = 0; i < kInputs; ++i) found[i] = &contexts_[kFirst[i] + numbers[i]];
    return Bit(found, weights_[set], logit);
  }
  // What a context of the first input estimates.
  uint32_t probability(size_t number) const { return contexts_[number].probability(); }

 private:
  static constexpr std::array<size_t, kInputs> first() {
    std::array<size_t, kInputs> sizes{kSizes...};
    std::array<size_t, kInputs> sums{};
    for (size_t i = 1; i < kInputs; ++i) sums[i] = sums[i - 1] + sizes[i - 1];
    return sums;
  }
  static constexpr std::array<size_t, kInputs> kFirst = first();

  std::array<BitContext, (kSizes + ...)> contexts_;
  std::array<typename Bit::Weights, kSets> weights_;
};

template <size_t kSets, size_t... kSizes>
using MixedContexts = MixedContextsOf<0, kSets, kSizes...>;
// With a logit in the mix.
template <size_t kSets, size_t... kSizes>
using MixedLogits = MixedContextsOf<1, kSets, kSizes...>;

}  // namespace bsq
