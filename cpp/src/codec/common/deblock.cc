// Deblocking: first all vertical edges, then all horizontal ones; lines of an edge side by side.
#include "codec/common/deblock.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>

#include "base/tokens.h"

namespace bsq {
namespace {

// What an edge may change: docs/bitstream.md section 4.4.
struct Limits {
  int32_t activity = 0;  // of second differences: beyond it there is detail, not an edge
  int32_t luma = 0;      // the most that a sample next to the edge moves
  int32_t chroma = 0;
};

Limits limits(int q, int bit_depth) {
  const int scale = 1 << (bit_depth - 8);
  return {scale * (std::max(0, 3 * (q - 160)) >> 4), std::max(0, (scale * (q - 212) + 32) >> 6),
          std::max(0, (scale * 3 * (q - 180) + 64) >> 7)};
}

constexpr int kReach = 4;  // samples on each side that are read
// Steps at least so many times the limit are no blocking but part of the content.
constexpr int32_t kGap = 16;
constexpr int32_t kChromaGap = 8;

// The line of samples across an edge, p3 first; changed in place.
void smooth_line(int32_t v[2 * kReach], int32_t most) {
  const int32_t p3 = v[0], p2 = v[1], p1 = v[2], p0 = v[3];
  const int32_t q0 = v[4], q1 = v[5], q2 = v[6], q3 = v[7];
  const auto to = [most](int32_t value, int32_t old) {
    return std::clamp(value, old - most, old + most);
  };
  v[1] = to((2 * p3 + 3 * p2 + p1 + p0 + q0 + 4) >> 3, p2);
  v[2] = to((p2 + p1 + p0 + q0 + 2) >> 2, p1);
  v[3] = to((p2 + 2 * p1 + 2 * p0 + 2 * q0 + q1 + 4) >> 3, p0);
  v[4] = to((p1 + 2 * p0 + 2 * q0 + 2 * q1 + q2 + 4) >> 3, q0);
  v[5] = to((p0 + q0 + q1 + q2 + 2) >> 2, q1);
  v[6] = to((p0 + q0 + q1 + 3 * q2 + 2 * q3 + 4) >> 3, q2);
}

void correct_line(int32_t v[2 * kReach], int32_t step, int32_t most, int32_t largest) {
  const int32_t p2 = v[1], p1 = v[2], p0 = v[3], q0 = v[4], q1 = v[5], q2 = v[6];
  const int32_t half = most >> 1;
  const int32_t d = std::clamp(step, -most, most);
  const int32_t dp = std::clamp((((p2 + p0 + 1) >> 1) - p1 + d) >> 1, -half, half);
  const int32_t dq = std::clamp((((q2 + q0 + 1) >> 1) - q1 - d) >> 1, -half, half);
  v[2] = std::clamp(p1 + dp, 0, largest);
  v[3] = std::clamp(p0 + d, 0, largest);
  v[4] = std::clamp(q0 - d, 0, largest);
  v[5] = std::clamp(q1 + dq, 0, largest);
}

void filter_luma_line(uint16_t* at, ptrdiff_t across, const Limits& limit, int32_t largest) {
  int32_t v[2 * kReach];
  for (int i = 0; i < 2 * kReach; ++i) v[i] = at[(i - kReach) * across];
  const int32_t activity = std::abs(v[1] - 2 * v[2] + v[3]) + std::abs(v[4] - 2 * v[5] + v[6]);
  if (activity >= limit.activity) return;
  const int32_t quarter = limit.activity >> 2;
  const int32_t step = (9 * (v[4] - v[3]) - 3 * (v[5] - v[2]) + 8) >> 4;
  if (activity < quarter && std::abs(v[0] - v[3]) + std::abs(v[4] - v[7]) < quarter) {
    smooth_line(v, 2 * limit.luma);
  } else if (std::abs(step) < kGap * limit.luma) {
    correct_line(v, step, limit.luma, largest);
  }
  for (int i = 1; i < 2 * kReach - 1; ++i) {
    at[(i - kReach) * across] = static_cast<uint16_t>(v[i]);
  }
}

void filter_chroma_line(uint16_t* at, ptrdiff_t across, const Limits& limit, int32_t largest) {
  const int32_t p1 = at[-2 * across], p0 = at[-across], q0 = at[0], q1 = at[across];
  const int32_t step = (4 * (q0 - p0) + p1 - q1 + 4) >> 3;
  if (std::abs(step) >= kChromaGap * limit.chroma) return;
  const int32_t d = std::clamp(step, -limit.chroma, limit.chroma);
  at[-across] = static_cast<uint16_t>(std::clamp(p0 + d, 0, largest));
  at[0] = static_cast<uint16_t>(std::clamp(q0 - d, 0, largest));
}

// All edges of a row of tokens in one direction.
void filter_row(const DeblockEdges& edges, int y, bool vertical, Frame& frame) {
  const int32_t largest = (1 << frame.bit_depth) - 1;
  const std::vector<int16_t>& steps = vertical ? edges.left : edges.above;
  for (int x = 0; x < edges.tokens_x; ++x) {
    const int q = steps[static_cast<size_t>(y) * static_cast<size_t>(edges.tokens_x) +
                        static_cast<size_t>(x)];
    if (q == DeblockEdges::kNoEdge) continue;
    const Limits limit = limits(q, frame.bit_depth);
    for (int p = 0; p < frame.plane_count; ++p) {
      const PlaneView plane = frame.planes[p].view();
      const int size = p == 0 ? kTokenSize : kTokenSize / 2;
      uint16_t* at = plane.row(y * size) + x * size;
      const ptrdiff_t across = vertical ? 1 : plane.stride;
      const ptrdiff_t along = vertical ? plane.stride : 1;
      if ((p == 0 ? limit.luma : limit.chroma) == 0) continue;
      for (int i = 0; i < size; ++i) {
        if (p == 0) {
          filter_luma_line(at + i * along, across, limit, largest);
        } else {
          filter_chroma_line(at + i * along, across, limit, largest);
        }
      }
    }
  }
}

}  // namespace

void deblock(const DeblockEdges& edges, ThreadPool& pool, Frame& frame) {
  for (const bool vertical : {true, false}) {
    pool.parallel_rows(static_cast<size_t>(edges.tokens_y), [&](size_t row) {
      filter_row(edges, static_cast<int>(row), vertical, frame);
    });
  }
}

}  // namespace bsq
