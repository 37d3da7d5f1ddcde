// Motion search of the encoder over a whole picture, with threads.
#pragma once

#include "base/plane.h"
#include "base/thread_pool.h"
#include "codec/geometry.h"
#include "motion/motion_field.h"

namespace bsq {

// The field from `reference`, the decoded picture before, to `source`, at the step q. `previous` is
// the field of the picture before; `range` in luma samples. The result does not depend on the
// number of threads.
MotionField search_picture(const Frame& source, const Frame& reference, int q, int range,
                           const Geometry& geometry, const MotionField& previous, ThreadPool& pool);

}  // namespace bsq
