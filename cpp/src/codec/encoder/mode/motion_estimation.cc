// What the motion search is asked for, and the search over the thread pool.
#include "codec/encoder/mode/motion_estimation.h"

#include <algorithm>
#include <array>
#include <vector>

#include "base/quant_step.h"
#include "base/section_clock.h"
#include "codec/encoder/mode/decisions.h"
#include "entropy/bit_cost.h"
#include "entropy/enc_adaptive_bit.h"
#include "network/samples.h"

namespace bsq {

namespace {

constexpr double kBMotionLambda = 1.5;  // of B frames, times that of P frames

// A 2^-12 bit to MotionRates' units.
int rate(uint32_t q12) { return static_cast<int>(q12 * MotionRates::kOneBit >> 12); }

MotionRates::Flag flag_rates(const AdaptiveBit& context) {
  return {rate(bit_cost_q12(false, context.probability())),
          rate(bit_cost_q12(true, context.probability()))};
}

MotionRates::Component component_rates(const SignedContexts& contexts) {
  MotionRates::Component rates{};
  for (size_t digits = 0; digits < rates.size(); ++digits) {
    const int32_t value = digits == 0 ? 0 : int32_t{1} << (digits - 1);
    rates[digits] = rate(signed_cost_q12(contexts, value));
  }
  return rates;
}

MotionSearchConfig with_kernels(MotionSearchConfig config, const LayerState& state) {
  config.kernels = &search_kernels(state.kernels());
  return config;
}

template <size_t kCount>
std::array<MotionRates::Flag, kCount> flag_rates(const std::array<AdaptiveBit, kCount>& contexts) {
  std::array<MotionRates::Flag, kCount> rates;
  for (size_t i = 0; i < kCount; ++i) rates[i] = flag_rates(contexts[i]);
  return rates;
}

using BySize = std::array<std::array<AdaptiveBit, 3>, 3>;

std::array<std::array<MotionRates::Flag, 3>, 3> flag_rates(const BySize& contexts) {
  return {flag_rates(contexts[0]), flag_rates(contexts[1]), flag_rates(contexts[2])};
}

void set_vector_rates(const VectorContexts& contexts, VectorRates& rates) {
  rates.same = flag_rates(contexts.same);
  rates.x = component_rates(contexts.difference_x);
  rates.y = component_rates(contexts.difference_y);
}

}  // namespace

MotionRates motion_rates(const PMotionContexts& contexts) {
  MotionRates rates(true);
  rates.split = flag_rates(contexts.split.superblock);
  rates.subblock_split = flag_rates(contexts.split.block);
  set_vector_rates(contexts.vector, rates);
  return rates;
}

BMotionRates motion_rates(const BMotionContexts& contexts) {
  BMotionRates rates;
  rates.split = flag_rates(contexts.split.superblock);
  rates.subblock_split = flag_rates(contexts.split.block);
  rates.merged = flag_rates(contexts.merged);
  rates.candidate = flag_rates(contexts.candidate);
  rates.both = flag_rates(contexts.both);
  rates.second = flag_rates(contexts.second);
  for (size_t i = 0; i < 2; ++i) set_vector_rates(contexts.vector[i], rates.vectors[i]);
  return rates;
}

MotionSearchConfig motion_config(int q, int range) {
  MotionSearchConfig config;
  config.lambda = std::max(kDecisions.motion_lambda * step_q8(q) / kStepOne, 0.5);
  config.range = range;
  return config;
}

MotionSearchConfig b_motion_config(int q, int range) {
  MotionSearchConfig config = motion_config(q, range);
  config.lambda *= kBMotionLambda;
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
