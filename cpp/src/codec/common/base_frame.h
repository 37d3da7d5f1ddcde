// Base frames: the small frame that a keyframe is predicted from, docs/bitstream.md
// section 3.6.
#pragma once

#include <cstdint>
#include <vector>

#include "base/plane.h"
#include "base/thread_pool.h"
#include "codec/common/geometry.h"

namespace bsq {

inline constexpr int kBaseScale = 8;  // samples of a keyframe per sample of its base frame

// The filter that enlarges it, by the sample's place among the eight; both ways it sums to 2^14.
inline constexpr int kBaseTaps = 4;
inline constexpr int32_t kBaseFilters[kBaseScale][kBaseTaps] = {
    {-10, 65, 86, -13}, {-7, 44, 105, -14}, {-3, 24, 119, -12}, {-1, 7, 127, -5},
    {-5, 127, 7, -1},   {-12, 119, 24, -3}, {-14, 105, 44, -7}, {-13, 86, 65, -10}};

// Sizes of the base frame of a keyframe.
Geometry base_geometry(const Geometry& geometry);

// Means of the keyframe's samples; `base` has the coded size of `g`, the base frame's geometry.
void shrink(const Frame& frame, const Geometry& g, ThreadPool& pool, Frame& base);
// After that: what comes from sample-coded tokens alone, by the marks of the keyframe's tokens,
// becomes what lies around it, or the middle value, which needs no bits.
void fill_sample_coded(const Frame& frame, const Geometry& g,
                       const std::vector<uint8_t>& sample_coded, Frame& base);

// The prediction of the keyframe.
void enlarge(const Frame& base, const Geometry& g, ThreadPool& pool, Frame& frame);

}  // namespace bsq
