// Delta q by the variance of the source and by propagation cost.
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

void log_variances(const Frame& source, const Geometry& geometry, ThreadPool& pool,
                   std::vector<double>& busy) {
  const ConstPlaneView luma = source.planes[0].view();
  const int excess = source.bit_depth - 8;
  const double scale = 1.0 / static_cast<double>(1 << (2 * excess));
  busy.resize(geometry.superblocks());
  pool.parallel_rows(static_cast<size_t>(geometry.superblocks_y), [&](size_t row) {
    const int sy = static_cast<int>(row);
    for (int sx = 0; sx < geometry.superblocks_x; ++sx) {
      double sum = 0;
      int count = 0;
      const int y_end = std::min((sy + 1) * kSuperblockTokens, geometry.tokens_y);
      const int x_end = std::min((sx + 1) * kSuperblockTokens, geometry.tokens_x);
      for (int y = sy * kSuperblockTokens; y < y_end; ++y) {
        for (int x = sx * kSuperblockTokens; x < x_end; ++x, ++count) {
          sum += log_variance(luma, x * kTokenSize, y * kTokenSize, scale);
        }
      }
      busy[geometry.superblock_index(sx, sy)] = sum / count;
    }
  });
  const double mean = mean_of(busy);
  for (double& b : busy) b -= mean;
}

void plan_delta_q(const Frame& source, const Geometry& geometry,
                  std::span<const double> propagation, std::span<const int16_t> before,
                  double variance_strength, bool shifts, ThreadPool& pool, DeltaQPlan& plan) {
  plan.shift = 0;
  std::vector<double>& wishes = plan.wishes;
  log_variances(source, geometry, pool, wishes);
  for (double& wish : wishes) wish *= variance_strength;
  if (!propagation.empty()) {
    for (size_t i = 0; i < wishes.size(); ++i) {
      wishes[i] -=
          kDecisions.propagation_strength * (propagation[i] - kDecisions.usual_propagation);
    }
    const double mean = mean_of(wishes);
    if (shifts) plan.shift = kDeltaQUnit * static_cast<int>(std::lround(mean));
    const double centre = shifts ? std::round(mean) : mean;
    for (double& wish : wishes) wish -= centre;
  }
  plan.superblocks.resize(wishes.size());
  for (size_t i = 0; i < wishes.size(); ++i) {
    auto delta_q = static_cast<int>(std::lround(wishes[i]));
    const bool stays = !before.empty() && !propagation.empty() &&
                       std::abs(wishes[i] - before[i]) <= kDecisions.delta_q_inertia;
    if (stays) delta_q = before[i];
    plan.superblocks[i] = static_cast<int16_t>(std::clamp(delta_q, -kMaxDeltaQ, kMaxDeltaQ));
  }
}

}  // namespace bsq
