// The deblocking filter across the edges of tokens: docs/bitstream.md section 4.4.
#pragma once

#include <cstdint>
#include <vector>

#include "base/plane.h"
#include "base/thread_pool.h"

namespace bsq {

// q at the left and at the upper edge of every token in raster order, or kNoEdge where nothing is
// filtered.
struct DeblockEdges {
  static constexpr int16_t kNoEdge = -1;

  int tokens_x = 0;
  int tokens_y = 0;
  std::vector<int16_t> left;
  std::vector<int16_t> above;
};

void deblock(const DeblockEdges& edges, ThreadPool& pool, Frame& frame);

}  // namespace bsq
