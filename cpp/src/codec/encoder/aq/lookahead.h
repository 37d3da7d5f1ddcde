// Propagation cost, as in x264's MB-tree: how much of later frames is predicted from each part of a
// frame, directly or through others. Not normative.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "codec/common/geometry.h"
#include "codec/encoder/aq/lowres_analysis.h"

namespace bsq {

// A frame that is not coded yet, with its costs from its references.
struct PropagationFrame {
  // In place of a reference: there is none, or it is coded already.
  static constexpr int kNone = -1;

  const FrameCosts* costs = nullptr;
  // The references' places in the list of frames.
  int first = kNone;
  int second = kNone;
};

// Keeps its memory from frame to frame.
class PropagationCost {
 public:
  // That of every superblock of the first frame, in octaves: 0 where nothing later is predicted
  // from it, and one more for every doubling of the cost that it carries. `frames`: the frame and
  // those that are coded after it, in coding order. The result lasts until the next call.
  std::span<const double> of(std::span<const PropagationFrame> frames, const Geometry& geometry);

  // After of(): the same for `length` frames, of which it has seen `seen`, if as much of the cost
  // is left from frame to frame as until then.
  std::span<const double> prolong(size_t seen, int length);

 private:
  void propagate_frame(const PropagationFrame& frame, size_t place);

  std::vector<double> superblocks_;
  std::vector<std::vector<double>> propagated_;  // of every frame, on every block
};

// Whether a frame of these costs goes on with the scene of the frame before.
bool continues(const FrameCosts& costs);

}  // namespace bsq
