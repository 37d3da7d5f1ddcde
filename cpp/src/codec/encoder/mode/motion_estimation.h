// Motion search of the encoder over a whole picture.
#pragma once

#include <vector>

#include "base/plane.h"
#include "codec/common/layer_state.h"
#include "motion/search.h"

namespace bsq {

// What vectors cost under the models of a block as they stand.
MotionPrices motion_prices(const MotionModels& models);

// At the step q; `range` in luma samples.
MotionSearchConfig motion_config(int q, int range);

// The blocks of a state, with their prices.
template <class State>
void motion_blocks(const State& state, std::vector<MotionSearchBlock>& blocks) {
  blocks.clear();
  for (const auto& b : state.blocks) {
    blocks.push_back({window_rect(b.area), motion_prices(b.models.motion)});
  }
}

// Leaves in state.motion the field from state.reference, the decoded picture before, to `source`,
// at the step q; `range` in luma samples. The result does not depend on the number of threads.
void search_picture(MotionSearch& search, const Frame& source, int q, int range,
                    PictureState& state);

}  // namespace bsq
