// What the encoder adds to q of each window. Not normative.
#pragma once

#include <cstdint>
#include <vector>

#include "base/plane.h"
#include "base/thread_pool.h"
#include "codec/geometry.h"

namespace bsq {

// Offsets, in kOffsetUnit, by how busy the luma of every window is beside the rest of the picture:
// errors show less among strong detail. `strength` is by how many units the offset rises when the
// variance doubles. The mean over the picture is about 0.
void offsets_by_variance(const Frame& source, const Geometry& geometry, double strength,
                         ThreadPool& pool, std::vector<int16_t>& offsets);

}  // namespace bsq
