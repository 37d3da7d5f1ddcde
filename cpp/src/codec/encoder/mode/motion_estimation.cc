// What the motion search is asked for, and the search over the thread pool.
#include "codec/encoder/mode/motion_estimation.h"

#include <algorithm>
#include <array>
#include <vector>

#include "base/quant_step.h"
#include "base/section_clock.h"
#include "codec/encoder/mode/decisions.h"
#include "entropy/bit_cost.h"
#include "network/samples.h"

namespace bsq {

namespace {

using C = MotionContexts;

constexpr double kBMotionLambda = 1.5;  // of B frames, times that of P frames

// A 2^-12 bit to MotionRates' units.
int rate(uint32_t q12) { return static_cast<int>(q12 * MotionRates::kOneBit >> 12); }

MotionRates::Flag flag_rates(uint32_t probability) {
  return {rate(bit_cost_q12(false, probability)), rate(bit_cost_q12(true, probability))};
}

MotionSearchConfig with_kernels(MotionSearchConfig config, const LayerState& state) {
  config.kernels = &search_kernels(state.kernels());
  return config;
}

// Rates follow the contexts of the first inputs alone: so a table suffices for a frame.

template <size_t kCount, class Contexts>
void set_flag_rates(const Contexts& contexts, size_t first,
                    std::array<MotionRates::Flag, kCount>& rates) {
  for (size_t i = 0; i < kCount; ++i) rates[i] = flag_rates(contexts.probability(first + i));
}

template <size_t kRows, size_t kCount, class Contexts>
void set_flag_rates(const Contexts& contexts, size_t first,
                    std::array<std::array<MotionRates::Flag, kCount>, kRows>& rates) {
  for (size_t i = 0; i < kRows; ++i) set_flag_rates(contexts, first + i * kCount, rates[i]);
}

MotionRates::Component component_rates(const MotionContexts& contexts, size_t first) {
  MotionRates::Component rates{};
  for (size_t digits = 0; digits < rates.size(); ++digits) {
    const int32_t value = digits == 0 ? 0 : int32_t{1} << (digits - 1);
    PartialNumber number;
    while (!number.done()) {
      const bool bit = number.next(value) == 1;
      const size_t bin = number.bin();
      const bool even = number.is_low() || bin == PartialNumber::kSignBin;
      rates[digits] += even ? MotionRates::kOneBit
                            : flag_rates(contexts.difference.probability(first + bin))[bit ? 1 : 0];
      number.append(bit);
    }
  }
  return rates;
}

void set_vector_rates(const MotionContexts& contexts, size_t kind, VectorRates& rates) {
  set_flag_rates(contexts.same, kind * C::kSizes * C::kNear, rates.same);
  rates.x = component_rates(contexts, kind * MotionContexts::kBins);
  rates.y = component_rates(contexts, kind * MotionContexts::kBins + PartialNumber::kBins);
}

}  // namespace

MotionRates p_motion_rates(const MotionContexts& contexts) {
  MotionRates rates(true);
  set_flag_rates(contexts.superblock_split, 0, rates.split);
  set_flag_rates(contexts.block_split, 0, rates.subblock_split);
  set_vector_rates(contexts, 0, rates);
  return rates;
}

BMotionRates b_motion_rates(const MotionContexts& contexts) {
  BMotionRates rates;
  set_flag_rates(contexts.superblock_split, C::kNear, rates.split);
  set_flag_rates(contexts.block_split, C::kNear, rates.subblock_split);
  set_flag_rates(contexts.merged, 0, rates.merged);
  set_flag_rates(contexts.candidate, 0, rates.candidate);
  set_flag_rates(contexts.both, 0, rates.both);
  set_flag_rates(contexts.second, 0, rates.second);
  // Most vectors are one of two.
  for (size_t i = 0; i < 2; ++i) set_vector_rates(contexts, 2 + i, rates.vectors[i]);
  return rates;
}

MotionSearchConfig motion_config(int q, int range, const ReferenceDistances& distances) {
  MotionSearchConfig config;
  config.lambda = std::max(kDecisions.motion_lambda * step_q8(q) / kStepOne, 0.5);
  if (distances.forth != 0) config.lambda *= kBMotionLambda;
  config.range = range;
  return config;
}

void estimate_motion(MotionSearch& search, const Frame& source, const SearchReference& reference,
                     const MotionSearchConfig& config, LayerState& state) {
  const SectionScope scope(Section::kMotionSearch);
  search.current().fill(source.planes[0].view(), source.bit_depth);
  motion_tiles(state, search.tiles());
  state.motion.field = search.run(search.current(), reference, with_kernels(config, state),
                                  &state.motion.field, search.tiles(), state.pool());
}

void estimate_b_motion(BMotionSearch& search, const Frame& source,
                       const SearchReferences& references, const MotionSearchConfig& config,
                       LayerState& state) {
  const SectionScope scope(Section::kMotionSearch);
  search.current().fill(source.planes[0].view(), source.bit_depth);
  motion_tiles(state, search.tiles());
  MotionSymbols& motion = state.motion;
  motion.field = search.run(search.current(), references, with_kernels(config, state),
                            motion.temporal, motion.distances, search.tiles(), state.pool());
}

}  // namespace bsq
