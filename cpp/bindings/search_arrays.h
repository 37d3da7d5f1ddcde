// Frames and tiles of the motion search as NumPy arrays and tuples.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "base/plane.h"
#include "base/thread_pool.h"
#include "kernels/dispatch.h"
#include "motion/motion_field.h"
#include "motion/search_config.h"
#include "motion/search_frame.h"
#include "motion/search_reference.h"
#include "motion_arrays.h"

namespace bsq {

inline MotionSearchConfig search_config(double lam, int range) {
  if (!(lam >= 0.0 && lam <= 4096.0)) fail("lam must be 0 to 4096");
  if (range < 4 || range > 512) fail("range must be 4 to 512 luma samples");
  MotionSearchConfig config;
  config.lambda = lam;
  config.range = range;
  config.kernels = &search_kernels(current_kernels());
  return config;
}

// The depth of the samples only scales them to the 8 bits of the search: 16-bit arrays whose
// largest sample fits 8 bits would be searched as black, so the caller states it.
inline SearchFrame search_frame(const Samples& samples, size_t index, int bit_depth,
                                const char* name) {
  Plane plane;
  load_or_fail(samples, index, bit_depth, name, plane);
  return SearchFrame(std::as_const(plane).view(), bit_depth);
}

inline SearchReference search_reference(const Samples& samples, size_t index, int bit_depth,
                                        const char* name, ThreadPool& pool) {
  Plane plane;
  load_or_fail(samples, index, bit_depth, name, plane);
  SearchReference reference;
  reference.fill(std::as_const(plane).view(), bit_depth, search_kernels(current_kernels()), pool);
  return reference;
}

// A rectangle of superblocks given as (x_begin, y_begin, x_end, y_end).
inline SuperblockRect superblock_rect(const std::vector<int>& tile, const MotionField& field) {
  if (tile.size() != 4) fail("tile: expected (x_begin, y_begin, x_end, y_end) in superblocks");
  const SuperblockRect rect{tile[0], tile[1], tile[2], tile[3]};
  if (rect.x_begin < 0 || rect.y_begin < 0 || rect.x_end > field.superblocks_x ||
      rect.y_end > field.superblocks_y || rect.x_begin >= rect.x_end ||
      rect.y_begin >= rect.y_end) {
    fail("tile: must be a rectangle of superblocks inside the frame");
  }
  return rect;
}

inline std::vector<SuperblockRect> superblock_rects(
    const std::optional<std::vector<std::vector<int>>>& tiles, const MotionField& field) {
  if (!tiles) return {whole_frame(field)};
  std::vector<SuperblockRect> rects;
  std::vector<uint8_t> covered(field.split.size());
  for (const std::vector<int>& tile : *tiles) {
    rects.push_back(superblock_rect(tile, field));
    const SuperblockRect& r = rects.back();
    for (int sy = r.y_begin; sy < r.y_end; ++sy) {
      for (int sx = r.x_begin; sx < r.x_end; ++sx) {
        if (std::exchange(covered[static_cast<size_t>(sy * field.superblocks_x + sx)], 1) != 0) {
          fail("tiles: must not overlap");
        }
      }
    }
  }
  if (std::count(covered.begin(), covered.end(), 0) != 0) fail("tiles: must cover the frame");
  return rects;
}

}  // namespace bsq
