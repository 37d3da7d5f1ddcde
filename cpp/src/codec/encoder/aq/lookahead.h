// Propagation cost, as in x264's MB-tree: how much of later frames is predicted from each part of a
// frame, directly or through others. Not normative.
#pragma once

#include <span>
#include <vector>

#include "codec/common/geometry.h"
#include "codec/encoder/aq/lowres_analysis.h"

namespace bsq {

// Keeps its memory from frame to frame.
class PropagationCost {
 public:
  // That of every superblock of the first frame, in octaves: 0 where nothing later is predicted
  // from it, and one more for every doubling of the cost that it carries. `frames`: costs of the
  // frame and of those that follow, in order. The result lasts until the next call.
  std::span<const double> of(std::span<const FrameCosts* const> frames, const Geometry& geometry);

 private:
  std::vector<double> superblocks_;
  std::vector<double> propagated_;  // on every block
  std::vector<double> before_;
};

// Whether a frame of these costs goes on with the scene of the frame before.
bool continues(const FrameCosts& costs);

}  // namespace bsq
