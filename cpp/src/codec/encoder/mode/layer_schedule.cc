// The quality layers of a frame.
#include "codec/encoder/mode/layer_schedule.h"

#include <algorithm>

namespace bsq {
namespace {

StepList falling_steps(int from, int q) {
  const int coarse = std::max(q, from);
  const int drop = coarse - q;
  const int parts =
      std::min(kMaxLayers - 1,
               (drop - kDecisions.layer_slack + kDecisions.layer_drop - 1) / kDecisions.layer_drop);
  StepList steps;
  if (parts <= 0) {
    steps.push_back(q);
    return steps;
  }
  for (int i = 0; i <= parts; ++i) steps.push_back(coarse - drop * i / parts);
  return steps;
}

}  // namespace

StepList keyframe_steps(int last_q, int finer, bool based) {
  const int start = (based ? kDecisions.coarse_based : kDecisions.coarse_intra) +
                    std::max(0, finer - kDecisions.coarse_reach);
  return falling_steps(std::min(start, kMaxStepIndex), std::max(kDecisions.finest, last_q));
}

StepList base_steps(int q) {
  return falling_steps(kDecisions.coarse_intra,
                       std::max(kDecisions.finest, q - kDecisions.base_gain));
}

StepList picture_steps(int stream_q) {
  StepList steps;
  for (int i = kDecisions.coarse_layers; i >= 0; --i) {
    const int q = stream_q + i * kDecisions.layer_drop;
    if (q <= kMaxStepIndex) steps.push_back(q);
  }
  return steps;
}

}  // namespace bsq
