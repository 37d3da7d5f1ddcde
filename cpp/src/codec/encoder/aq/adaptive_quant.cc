// Adaptive quantization by the variance of the source and by propagation cost.
#include "codec/encoder/aq/adaptive_quant.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/section_clock.h"
#include "codec/encoder/mode/decisions.h"
#include "codec/encoder/mode/layer_schedule.h"
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

// Propagation cost lowers delta q. What all superblocks have in common becomes the frame's shift.
void AdaptiveQuant::add_propagation(std::span<const double> propagation) {
  for (size_t i = 0; i < delta_q_.size(); ++i) {
    delta_q_[i] -=
        kDecisions.propagation_strength * (propagation[i] - kDecisions.usual_propagation);
  }
  const double mean = mean_of(delta_q_);
  plan_.shift = kDeltaQUnit * static_cast<int>(std::lround(mean));
  for (double& d : delta_q_) d -= std::round(mean);
}

// `before`: empty, or what stays within the inertia.
void AdaptiveQuant::round_delta_q(std::span<const int16_t> before) {
  plan_.superblocks.resize(delta_q_.size());
  for (size_t i = 0; i < delta_q_.size(); ++i) {
    auto delta_q = static_cast<int>(std::lround(delta_q_[i]));
    const bool stays =
        !before.empty() && std::abs(delta_q_[i] - before[i]) <= kDecisions.delta_q_inertia;
    if (stays) delta_q = before[i];
    plan_.superblocks[i] = static_cast<int16_t>(std::clamp(delta_q, -kMaxDeltaQ, kMaxDeltaQ));
  }
}

const DeltaQPlan& AdaptiveQuant::plan(const AqFrame& frame) {
  const bool has_lookahead = !frame.propagation.empty();
  const SectionScope scope(Section::kDeciding);
  plan_.shift = 0;
  log_variances(frame.source, geometry_, pool_, delta_q_);
  for (double& d : delta_q_) d *= variance_strength_;
  if (has_lookahead) add_propagation(frame.propagation);
  const bool has_inertia = has_lookahead && !frame.keyframe;
  round_delta_q(has_inertia ? frame.delta_q_before : std::span<const int16_t>());
  if (has_inertia) {
    plan_.shift += frame.has_b_frames ? level_q(frame.level) : q_cascade(frame.index);
  }
  return plan_;
}

}  // namespace bsq
