// Scene cut detection of the encoder. Not normative.
#pragma once

#include <cstdint>
#include <vector>

#include "base/plane.h"
#include "base/thread_pool.h"
#include "codec/common/geometry.h"
#include "motion/motion_field.h"

namespace bsq {

// Looks at luma only, and at the source of the frame before, since how coarsely that was coded says
// nothing about the scene: as it is, and with motion.
class SceneCutDetector {
 public:
  // The pool must outlive the object.
  SceneCutDetector(const Geometry& geometry, ThreadPool& pool);

  // Whether the frame is better begun anew than predicted from the one before. `motion`: between
  // the two.
  bool is_cut(const Frame& source, const Frame& previous, const MotionField& motion);

 private:
  ThreadPool& pool_;
  Frame compensated_;  // luma of the previous frame, with motion
  // By row of tokens: what the better prediction misses, and what a mean of each token misses.
  std::vector<int64_t> missed_;
  std::vector<int64_t> spread_;
};

}  // namespace bsq
