// Scene cut detection.
#include "codec/encoder/mode/scene_cut.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <numeric>

#include "base/section_clock.h"
#include "base/tokens.h"
#include "codec/encoder/mode/decisions.h"
#include "motion/compensate.h"

namespace bsq {
namespace {

constexpr int kLumaSamples = 64;

int64_t luma_difference(const ConstPlaneView& a, const ConstPlaneView& b, int x, int y) {
  int sum = 0;
  for (int j = y; j < y + kTokenSize; ++j) {
    for (int i = x; i < x + kTokenSize; ++i) sum += std::abs(a.row(j)[i] - b.row(j)[i]);
  }
  return sum;
}

// Sum of absolute differences from the mean of the token.
int64_t luma_spread(const ConstPlaneView& a, int x, int y) {
  int sum = 0;
  for (int j = y; j < y + kTokenSize; ++j) {
    for (int i = x; i < x + kTokenSize; ++i) sum += a.row(j)[i];
  }
  const int mean = (sum + kLumaSamples / 2) / kLumaSamples;
  int spread = 0;
  for (int j = y; j < y + kTokenSize; ++j) {
    for (int i = x; i < x + kTokenSize; ++i) spread += std::abs(a.row(j)[i] - mean);
  }
  return spread;
}

Frame luma_frame(const Geometry& geometry) {
  Frame frame;
  frame.bit_depth = geometry.bit_depth;
  frame.plane_count = 1;
  frame.planes[0] = Plane(geometry.coded_width(), geometry.coded_height());
  return frame;
}

}  // namespace

SceneCutDetector::SceneCutDetector(const Geometry& geometry, ThreadPool& pool)
    : pool_(pool), compensated_(luma_frame(geometry)) {}

bool SceneCutDetector::is_cut(const Frame& source, const Frame& previous,
                              const MotionField& motion) {
  const SectionScope scope(Section::kDeciding);
  motion_compensate({&previous, nullptr}, motion, pool_, compensated_);
  const ConstPlaneView luma = source.planes[0].view();
  const ConstPlaneView still = previous.planes[0].view();
  const ConstPlaneView moved = compensated_.planes[0].view();
  // Sums of every row of tokens by themselves, so that the threads do not matter.
  const auto rows = static_cast<size_t>(luma.height / kTokenSize);
  missed_.assign(rows, 0);
  spread_.assign(rows, 0);
  pool_.parallel_rows(rows, [&](size_t row) {
    const int y = static_cast<int>(row) * kTokenSize;
    for (int x = 0; x < luma.width; x += kTokenSize) {
      missed_[row] +=
          std::min(luma_difference(luma, still, x, y), luma_difference(luma, moved, x, y));
      spread_[row] += luma_spread(luma, x, y);
    }
  });
  const auto all_missed =
      static_cast<double>(std::accumulate(missed_.begin(), missed_.end(), int64_t{0}));
  const auto all_spread =
      static_cast<double>(std::accumulate(spread_.begin(), spread_.end(), int64_t{0}));
  const double samples = static_cast<double>(luma.width) * luma.height;
  const double floor = kDecisions.cut_floor * static_cast<double>(1 << (source.bit_depth - 8));
  return all_missed >= floor * samples && all_missed >= kDecisions.cut_ratio * all_spread;
}

}  // namespace bsq
