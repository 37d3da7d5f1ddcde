// What the encoder adds to q of each window. Not normative.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/plane.h"
#include "base/thread_pool.h"
#include "codec/common/geometry.h"

namespace bsq {

// How busy the luma of every window is beside the rest of the picture: log2 of its variance, less
// the mean over the picture. Errors show less among strong detail.
void busyness(const Frame& source, const Geometry& geometry, ThreadPool& pool,
              std::vector<double>& busy);

// What is added to q: to that of the picture, and in kOffsetUnit to that of every window.
struct OffsetPlan {
  int shift = 0;
  std::vector<int16_t> windows;
  std::vector<double> wishes;  // before they are rounded
};

// `source`: the picture; `importance`: of its windows (see lookahead.h), or empty where nothing
// is known; `before`: the offsets that the windows have, which hardly differing ones stay with, or
// empty in keyframes. `variance_strength`: see Tuning. `shifts`: whether the picture's q may move;
// else the windows' move around it.
void plan_offsets(const Frame& source, const Geometry& geometry, std::span<const double> importance,
                  std::span<const int16_t> before, double variance_strength, bool shifts,
                  ThreadPool& pool, OffsetPlan& plan);

}  // namespace bsq
