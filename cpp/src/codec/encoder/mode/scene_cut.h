// Scene cut detection of the encoder. Not normative.
#pragma once

#include "base/plane.h"
#include "base/thread_pool.h"

namespace bsq {

// Whether the frame is better begun anew than predicted. Looks at luma only, and at the source of
// the frame before, since how coarsely that was coded says nothing about the scene: as it is, and
// with motion.
bool is_scene_cut(const Frame& source, const Frame& previous, const Frame& compensated,
                  ThreadPool& pool);

}  // namespace bsq
