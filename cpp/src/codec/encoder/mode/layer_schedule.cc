// The quality layers of a frame.
#include "codec/encoder/mode/layer_schedule.h"

#include <algorithm>

namespace bsq {
namespace {

StepList falling_steps(int from, int q) {
  const int coarse = std::max(q, from);
  const int span = coarse - q;
  const int steps_down =
      std::min(kMaxLayers - 1, (span - kDecisions.layer_slack + kDecisions.layer_spacing - 1) /
                                   kDecisions.layer_spacing);
  StepList steps;
  if (steps_down <= 0) {
    steps.push_back(q);
    return steps;
  }
  for (int i = 0; i <= steps_down; ++i) steps.push_back(coarse - span * i / steps_down);
  return steps;
}

}  // namespace

StepList keyframe_layers(int last_q, int finer, bool based) {
  const int start = (based ? kDecisions.coarse_based : kDecisions.coarse_intra) +
                    std::max(0, finer - kDecisions.coarse_reach);
  return falling_steps(std::min(start, kMaxQ), std::max(kDecisions.finest, last_q));
}

StepList base_frame_layers(int q) {
  return falling_steps(kDecisions.coarse_intra,
                       std::max(kDecisions.finest, q - kDecisions.base_gain));
}

StepList inter_layers(int stream_q) {
  StepList steps;
  for (int i = kDecisions.coarse_layers; i >= 0; --i) {
    const int q = stream_q + i * kDecisions.layer_spacing;
    if (q <= kMaxQ) steps.push_back(q);
  }
  return steps;
}

}  // namespace bsq
