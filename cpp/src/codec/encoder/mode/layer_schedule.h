// The quantizer indices of a frame's quality layers, and the q cascade. Not normative.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

#include "bitstream/limits.h"
#include "codec/encoder/mode/decisions.h"

namespace bsq {

// q of the layers of a frame, in order.
struct StepList {
  std::array<int, kMaxLayers> values{};
  size_t count = 0;

  void push_back(int q) { values[count++] = q; }
  size_t size() const { return count; }
  bool empty() const { return count == 0; }
  int back() const { return values[count - 1]; }
  const int* begin() const { return values.data(); }
  const int* end() const { return values.data() + count; }
  friend bool operator==(const StepList& a, const StepList& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
  }
};

// Steps of the layers of a keyframe that ends at step q, or at the finest; its superblocks' are
// finer by at most `finer`. `based`: after a base frame.
StepList keyframe_layers(int last_q, int finer, bool based);

// Steps of the layers of the base frame of a keyframe that ends at step q.
StepList base_frame_layers(int q);

// The q cascade: what is added to q of frame number `index` of its group.
inline int level_q(int level) {
  return kDecisions.level_q[std::min(static_cast<size_t>(level), kDecisions.level_q.size() - 1)];
}
inline int q_cascade(int index) {
  return kDecisions.q_cascade[static_cast<size_t>(index) % kDecisions.q_cascade.size()];
}

// Steps of the layers that a frame between keyframes may have.
StepList inter_layers(int stream_q);

}  // namespace bsq
