// What the motion search is asked for, and the search over the thread pool.
#include "codec/encoder/mode/motion_estimation.h"

#include <algorithm>
#include <array>
#include <vector>

#include "base/stage_clock.h"
#include "codec/encoder/mode/decisions.h"
#include "entropy/bit_cost.h"
#include "entropy/enc_adaptive_bit.h"
#include "network/samples.h"

namespace bsq {

namespace {

// A 2^-12 bit to MotionPrices' units.
int price(uint32_t q12) { return static_cast<int>(q12 * MotionPrices::kOneBit >> 12); }

MotionPrices::Flag flag_prices(const AdaptiveBit& model) {
  return {price(bit_cost_q12(false, model.probability())),
          price(bit_cost_q12(true, model.probability()))};
}

MotionPrices::Component component_prices(const SignedModels& models) {
  MotionPrices::Component prices{};
  for (size_t digits = 0; digits < prices.size(); ++digits) {
    const int32_t value = digits == 0 ? 0 : int32_t{1} << (digits - 1);
    prices[digits] = price(signed_cost_q12(models, value));
  }
  return prices;
}

}  // namespace

MotionPrices motion_prices(const MotionModels& models) {
  MotionPrices prices(true);
  for (size_t near = 0; near < 3; ++near) {
    prices.split[near] = flag_prices(models.split[near]);
    prices.cell_split[near] = flag_prices(models.cell_split[near]);
    for (size_t size = 0; size < 3; ++size) {
      prices.same[size][near] = flag_prices(models.same[size][near]);
    }
  }
  prices.x = component_prices(models.difference_x);
  prices.y = component_prices(models.difference_y);
  return prices;
}

MotionSearchConfig motion_config(int q, int range) {
  MotionSearchConfig config;
  config.lambda = std::max(kDecisions.motion_lambda * step_q8(q) / 256.0, 0.5);
  config.range = range;
  return config;
}

void search_picture(MotionSearch& search, const Frame& source, int q, int range,
                    PictureState& state) {
  const StageScope scope(Stage::kMotionSearch);
  std::array<SearchPicture, 2>& pictures = search.pictures();
  const Frame* frames[2] = {&source, &state.reference};
  state.pool().parallel_for(
      2, [&](size_t i) { pictures[i].fill(frames[i]->planes[0].view(), frames[i]->bit_depth); });
  MotionSearchConfig config = motion_config(q, range);
  config.kernels = &search_kernels(state.kernels());
  motion_blocks(state, search.blocks());
  state.motion.field = search.run(pictures[0], pictures[1], config, &state.motion.field,
                                  search.blocks(), state.pool());
}

}  // namespace bsq
