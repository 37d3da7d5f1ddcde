// Motion search of the encoder over a whole frame.
#pragma once

#include <vector>

#include "base/plane.h"
#include "codec/common/layer_state.h"
#include "motion/search.h"
#include "motion/search_b.h"

namespace bsq {

// Rates of vectors under the contexts of a tile as they stand.
MotionRates p_motion_rates(const MotionContexts& contexts);
BMotionRates b_motion_rates(const MotionContexts& contexts);

// At the step q, for a frame with references so far away; `range` in luma samples.
MotionSearchConfig motion_config(int q, int range, const ReferenceDistances& distances);

// The tiles of a state, with their rates.
template <LayerCodingState State>
void motion_tiles(const State& state, std::vector<MotionSearchTile>& tiles) {
  tiles.clear();
  for (const auto& b : state.tiles) {
    tiles.push_back({b.area, p_motion_rates(b.contexts.motion)});
  }
}

template <LayerCodingState State>
void motion_tiles(const State& state, std::vector<BMotionSearchTile>& tiles) {
  tiles.clear();
  for (const auto& b : state.tiles) {
    tiles.push_back({b.area, b_motion_rates(b.contexts.motion)});
  }
}

// Leaves in state.motion the field from `reference`, the decoded frame before, to `source`. The
// result does not depend on the number of threads. The kernels are the state's, not `config`'s.
void estimate_motion(MotionSearch& search, const Frame& source, const SearchReference& reference,
                     const MotionSearchConfig& config, LayerState& state);

// Leaves in state.motion the field of a B frame, of which it has the distances and the temporal
// motion already. Likewise.
void estimate_b_motion(BMotionSearch& search, const Frame& source,
                       const SearchReferences& references, const MotionSearchConfig& config,
                       LayerState& state);

}  // namespace bsq
