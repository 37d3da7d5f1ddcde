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

// The mean of the samples at a sample of the base frame that are of tokens without marks, or -1.
int unmarked_mean(const ConstPlaneView& plane, int token_side, const std::vector<uint8_t>& marks,
                  int tokens_x, int x, int y) {
  int sum = 0;
  int count = 0;
  for (int j = y * kBaseScale; j < std::min((y + 1) * kBaseScale, plane.height); ++j) {
    for (int i = x * kBaseScale; i < std::min((x + 1) * kBaseScale, plane.width); ++i) {
      const auto token = static_cast<size_t>(j / token_side * tokens_x + i / token_side);
      if (marks[token] != 0) continue;
      sum += plane.row(j)[i];
      ++count;
    }
  }
  return count == 0 ? -1 : (sum + count / 2) / count;
}

// Gives samples of -1 the value before them in the row, else the one above; from the first sample
// on, or, with `turned`, from the last.
std::vector<int> filled(std::vector<int> samples, int width, bool turned) {
  const auto count = static_cast<ptrdiff_t>(samples.size());
  const ptrdiff_t step = turned ? -1 : 1;
  for (ptrdiff_t n = 0; n < count; ++n) {
    const ptrdiff_t at = turned ? count - 1 - n : n;
    int& sample = samples[static_cast<size_t>(at)];
    if (sample < 0 && n % width != 0) sample = samples[static_cast<size_t>(at - step)];
    if (sample < 0 && n >= width) sample = samples[static_cast<size_t>(at - step * width)];
  }
  return samples;
}

}  // namespace

Geometry base_geometry(const Geometry& geometry) {
  Geometry base =
      Geometry::of(geometry.tokens_x, geometry.tokens_y, geometry.chroma, geometry.bit_depth);
  base.chroma_crf_offset = geometry.chroma_crf_offset;
  return base;
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

void fill_sample_coded(const Frame& frame, const Geometry& g,
                       const std::vector<uint8_t>& sample_coded, Frame& base) {
  const int middle = 1 << (frame.bit_depth - 1);
  // Tokens of the base frame that predict others than sample-coded ones.
  std::vector<bool> needed(g.tokens());
  for (size_t i = 0; i < sample_coded.size(); ++i) {
    if (sample_coded[i] != 0) continue;
    const auto x = static_cast<int>(i % static_cast<size_t>(g.width));
    const auto y = static_cast<int>(i / static_cast<size_t>(g.width));
    needed[g.token_index(x / kTokenSize, y / kTokenSize)] = true;
  }
  for (int p = 0; p < g.plane_count; ++p) {
    const int token_side = p == 0 ? kTokenSize : kTokenSize / 2;
    const PlaneView to = base.planes[p].view();
    std::vector<int> known;
    for (int y = 0; y < to.height; ++y) {
      for (int x = 0; x < to.width; ++x) {
        known.push_back(
            x < g.plane_width(p) && y < g.plane_height(p)
                ? unmarked_mean(frame.planes[p].view(), token_side, sample_coded, g.width, x, y)
                : -1);
      }
    }
    const std::vector<int> before = filled(known, to.width, false);
    const std::vector<int> after = filled(known, to.width, true);
    for (size_t i = 0; i < known.size(); ++i) {
      const int a = before[i] < 0 ? after[i] : before[i];
      const int b = after[i] < 0 ? before[i] : after[i];
      const auto x = static_cast<int>(i % static_cast<size_t>(to.width));
      const auto y = static_cast<int>(i / static_cast<size_t>(to.width));
      const bool blank = a < 0 || !needed[g.token_index(x / token_side, y / token_side)];
      to.row(y)[x] = static_cast<uint16_t>(blank ? middle : (a + b + 1) / 2);
    }
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
