// Adaptive quantization: delta q of each superblock by variance and by MB-tree propagation. Not
// normative.
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

// What is added to q: `shift` to that of the frame, and in units of kDeltaQUnit to that of every
// superblock.
struct DeltaQPlan {
  int shift = 0;
  std::vector<int16_t> superblocks;
  std::vector<double> wishes;  // before they are rounded
};

// `source`: the frame; `propagation`: of its superblocks (see lookahead.h), or empty where nothing
// is known; `before`: the delta q that the superblocks have, which stays where it would
// hardly change, or empty in keyframes. `variance_strength`: see Tuning. `shifts`: whether the
// frame's q may move; else the superblocks' move around it.
void plan_delta_q(const Frame& source, const Geometry& geometry,
                  std::span<const double> propagation, std::span<const int16_t> before,
                  double variance_strength, bool shifts, ThreadPool& pool, DeltaQPlan& plan);

}  // namespace bsq
