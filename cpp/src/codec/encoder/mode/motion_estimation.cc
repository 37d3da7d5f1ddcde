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

}  // namespace

MotionRates motion_rates(const MotionContexts& contexts) {
  MotionRates rates(true);
  for (size_t near = 0; near < 3; ++near) {
    rates.split[near] = flag_rates(contexts.split[near]);
    rates.subblock_split[near] = flag_rates(contexts.subblock_split[near]);
    for (size_t size = 0; size < 3; ++size) {
      rates.same[size][near] = flag_rates(contexts.same[size][near]);
    }
  }
  rates.x = component_rates(contexts.difference_x);
  rates.y = component_rates(contexts.difference_y);
  return rates;
}

MotionSearchConfig motion_config(int q, int range) {
  MotionSearchConfig config;
  config.lambda = std::max(kDecisions.motion_lambda * step_q8(q) / kStepOne, 0.5);
  config.range = range;
  return config;
}

void estimate_motion(MotionSearch& search, const Frame& source, int q, int range,
                     LayerState& state) {
  const SectionScope scope(Section::kMotionSearch);
  std::array<SearchFrame, 2>& pair = search.frames();
  const Frame* frames[2] = {&source, &state.reference};
  state.pool().parallel_for(
      2, [&](size_t i) { pair[i].fill(frames[i]->planes[0].view(), frames[i]->bit_depth); });
  MotionSearchConfig config = motion_config(q, range);
  config.kernels = &search_kernels(state.kernels());
  motion_tiles(state, search.tiles());
  state.motion.field =
      search.run(pair[0], pair[1], config, &state.motion.field, search.tiles(), state.pool());
}

}  // namespace bsq
