// Adaptive steps by the variance of the source and by what hangs on it.
#include "codec/encoder/aq/adaptive_quant.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "codec/encoder/mode/decisions.h"
#include "network/token_steps.h"

namespace bsq {
namespace {

// Variance, in 8-bit sample values, below which flat is flat: that of rounding and faint noise.
constexpr double kFlatVariance = 1.0;

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// Log2 of the variance of luma in a token.
double log_variance(const ConstPlaneView& luma, int x, int y, double scale) {
  int64_t sum = 0;
  int64_t squares = 0;
  for (int j = y; j < y + kTokenSize; ++j) {
    const uint16_t* row = luma.row(j) + x;
    for (int i = 0; i < kTokenSize; ++i) {
      sum += row[i];
      squares += int64_t{row[i]} * row[i];
    }
  }
  constexpr double kSamples = kTokenSize * kTokenSize;
  const double mean = static_cast<double>(sum) / kSamples;
  const double variance = static_cast<double>(squares) / kSamples - mean * mean;
  return std::log2(variance * scale + kFlatVariance);
}

}  // namespace

void busyness(const Frame& source, const Geometry& geometry, ThreadPool& pool,
              std::vector<double>& busy) {
  const ConstPlaneView luma = source.planes[0].view();
  const int excess = source.bit_depth - 8;
  const double scale = 1.0 / static_cast<double>(1 << (2 * excess));
  busy.resize(geometry.windows());
  pool.parallel_rows(static_cast<size_t>(geometry.windows_y), [&](size_t row) {
    const int wy = static_cast<int>(row);
    for (int wx = 0; wx < geometry.windows_x; ++wx) {
      double sum = 0;
      int count = 0;
      const int y_end = std::min((wy + 1) * kWindowTokens, geometry.tokens_y);
      const int x_end = std::min((wx + 1) * kWindowTokens, geometry.tokens_x);
      for (int y = wy * kWindowTokens; y < y_end; ++y) {
        for (int x = wx * kWindowTokens; x < x_end; ++x, ++count) {
          sum += log_variance(luma, x * kTokenSize, y * kTokenSize, scale);
        }
      }
      busy[geometry.window_index(wx, wy)] = sum / count;
    }
  });
  const double mean = mean_of(busy);
  for (double& b : busy) b -= mean;
}

void plan_offsets(const Frame& source, const Geometry& geometry, std::span<const double> importance,
                  std::span<const int16_t> before, double variance_strength, bool shifts,
                  ThreadPool& pool, OffsetPlan& plan) {
  plan.shift = 0;
  std::vector<double>& wishes = plan.wishes;
  busyness(source, geometry, pool, wishes);
  for (double& wish : wishes) wish *= variance_strength;
  if (!importance.empty()) {
    for (size_t i = 0; i < wishes.size(); ++i) {
      wishes[i] -= kDecisions.importance_strength * (importance[i] - kDecisions.usual_importance);
    }
    const double mean = mean_of(wishes);
    if (shifts) plan.shift = kOffsetUnit * static_cast<int>(std::lround(mean));
    const double centre = shifts ? std::round(mean) : mean;
    for (double& wish : wishes) wish -= centre;
  }
  plan.windows.resize(wishes.size());
  for (size_t i = 0; i < wishes.size(); ++i) {
    auto offset = static_cast<int>(std::lround(wishes[i]));
    const bool stays = !before.empty() && !importance.empty() &&
                       std::abs(wishes[i] - before[i]) <= kDecisions.offset_inertia;
    if (stays) offset = before[i];
    plan.windows[i] = static_cast<int16_t>(std::clamp(offset, -kMaxOffset, kMaxOffset));
  }
}

}  // namespace bsq
