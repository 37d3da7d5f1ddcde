// Motion search of the encoder over a whole frame.
#pragma once

#include <vector>

#include "base/plane.h"
#include "codec/common/layer_state.h"
#include "motion/search.h"

namespace bsq {

// Rates of vectors under the contexts of a tile as they stand.
MotionRates motion_rates(const MotionContexts& contexts);

// At the step q; `range` in luma samples.
MotionSearchConfig motion_config(int q, int range);

// The tiles of a state, with their rates.
template <LayerCodingState State>
void motion_tiles(const State& state, std::vector<MotionSearchTile>& tiles) {
  tiles.clear();
  for (const auto& b : state.tiles) {
    tiles.push_back({b.area, motion_rates(b.contexts.motion)});
  }
}

// Leaves in state.motion the field from state.reference, the decoded frame before, to `source`,
// at the step q; `range` in luma samples. The result does not depend on the number of threads.
void estimate_motion(MotionSearch& search, const Frame& source, int q, int range,
                     LayerState& state);

}  // namespace bsq
