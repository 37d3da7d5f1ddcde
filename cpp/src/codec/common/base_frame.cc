// Means for the encoder; a separable bicubic filter for both sides.
#include "codec/common/base_frame.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "bitstream/limits.h"

namespace bsq {
namespace {

constexpr int kFilterBits = 14;  // of both directions together

// The base sample that the first tap meets, for sample `at` of the keyframe.
int first_tap(int at) { return at / kBaseScale - (at % kBaseScale < kBaseScale / 2 ? 2 : 1); }

uint16_t mean(const ConstPlaneView& plane, int x, int y) {
  const int x_end = std::min(x + kBaseScale, plane.width);
  const int y_end = std::min(y + kBaseScale, plane.height);
  int sum = 0;
  for (int j = y; j < y_end; ++j) {
    for (int i = x; i < x_end; ++i) sum += plane.row(j)[i];
  }
  const int count = (x_end - x) * (y_end - y);
  return static_cast<uint16_t>((sum + count / 2) / count);
}

}  // namespace

Geometry base_geometry(const Geometry& geometry) {
  return Geometry::of(geometry.tokens_x, geometry.tokens_y, geometry.chroma, geometry.bit_depth);
}

void shrink(const Frame& frame, const Geometry& g, ThreadPool& pool, Frame& base) {
  for (int p = 0; p < g.plane_count; ++p) {
    const ConstPlaneView from = frame.planes[p].view();
    const PlaneView to = base.planes[p].view();
    const int height = g.plane_height(p);
    const int width = g.plane_width(p);
    pool.parallel_for(static_cast<size_t>(height), [&](size_t row) {
      const int y = static_cast<int>(row);
      for (int x = 0; x < width; ++x) to.row(y)[x] = mean(from, x * kBaseScale, y * kBaseScale);
      std::fill(to.row(y) + width, to.row(y) + to.width, to.row(y)[width - 1]);
    });
    for (int y = height; y < to.height; ++y) std::copy_n(to.row(height - 1), to.width, to.row(y));
  }
}

void enlarge(const Frame& base, const Geometry& g, ThreadPool& pool, Frame& frame) {
  const int32_t largest = (1 << frame.bit_depth) - 1;
  for (int p = 0; p < g.plane_count; ++p) {
    const ConstPlaneView from = base.planes[p].view();
    const PlaneView to = frame.planes[p].view();
    const int width = g.plane_width(p);
    const int height = g.plane_height(p);
    pool.parallel_for(static_cast<size_t>(to.height), [&](size_t row) {
      const int y = static_cast<int>(row);
      std::array<int32_t, kMaxFrameSide / kBaseScale> column;
      std::fill_n(column.begin(), width, 0);
      for (int b = 0; b < kBaseTaps; ++b) {
        const uint16_t* samples = from.row(std::clamp(first_tap(y) + b, 0, height - 1));
        const int32_t weight = kBaseFilters[y % kBaseScale][b];
        for (int x = 0; x < width; ++x) column[static_cast<size_t>(x)] += weight * samples[x];
      }
      for (int x = 0; x < to.width; ++x) {
        int32_t sum = 1 << (kFilterBits - 1);
        for (int a = 0; a < kBaseTaps; ++a) {
          const int i = std::clamp(first_tap(x) + a, 0, width - 1);
          sum += kBaseFilters[x % kBaseScale][a] * column[static_cast<size_t>(i)];
        }
        to.row(y)[x] = static_cast<uint16_t>(std::clamp(sum >> kFilterBits, 0, largest));
      }
    });
  }
}

}  // namespace bsq
