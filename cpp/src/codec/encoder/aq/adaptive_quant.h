// Adaptive quantization: delta q of each superblock by variance and by MB-tree propagation, and
// the shift of the frame's q with the q cascade. Not normative.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/plane.h"
#include "base/thread_pool.h"
#include "codec/common/geometry.h"

namespace bsq {

// Log2 of the variance of the luma of every superblock, less the mean over the frame. Errors show
// less among strong detail.
void log_variances(const Frame& source, const Geometry& geometry, ThreadPool& pool,
                   std::vector<double>& busy);

// The frame to plan for.
struct AqFrame {
  const Frame& source;
  // The propagation cost of every superblock; empty without a lookahead.
  std::span<const double> propagation;
  // The delta q that the superblocks have: each stays where it would hardly change.
  std::span<const int16_t> delta_q_before;
  int index = 0;              // in its group
  int level = 0;              // see GopFrame
  bool has_b_frames = false;  // whether the stream has
  bool keyframe = false;
};

// What is added to q: `shift` to that of the frame, and in units of kDeltaQUnit to that of every
// superblock.
struct DeltaQPlan {
  int shift = 0;
  std::vector<int16_t> superblocks;
};

// Keeps its memory from frame to frame.
class AdaptiveQuant {
 public:
  // `variance_strength`: see Tuning. The pool must outlive the object.
  AdaptiveQuant(const Geometry& geometry, double variance_strength, ThreadPool& pool)
      : geometry_(geometry), variance_strength_(variance_strength), pool_(pool) {}

  // The result lasts until the next call.
  const DeltaQPlan& plan(const AqFrame& frame);

 private:
  void add_propagation(std::span<const double> propagation);
  void round_delta_q(std::span<const int16_t> before);

  const Geometry geometry_;
  const double variance_strength_;
  ThreadPool& pool_;
  std::vector<double> delta_q_;  // of the superblocks, before rounding
  DeltaQPlan plan_;
};

}  // namespace bsq
