// Base pictures: the small picture that a keyframe is predicted from, docs/bitstream.md
// section 3.6.
#pragma once

#include "base/plane.h"
#include "base/thread_pool.h"
#include "codec/geometry.h"

namespace bsq {

inline constexpr int kBaseScale = 8;  // samples of a keyframe for one of its base picture

// Sizes of the base picture of a keyframe.
Geometry base_geometry(const Geometry& geometry);

// Means of the keyframe's samples; `base` has the coded size of `g`, the base picture's geometry.
void shrink(const Frame& picture, const Geometry& g, ThreadPool& pool, Frame& base);

// The prediction of the keyframe.
void enlarge(const Frame& base, const Geometry& g, ThreadPool& pool, Frame& picture);

}  // namespace bsq
