// The steps of the temporal filter: search, compensation, weights, mean.
#include "codec/encoder/temporal_filter.h"

#include <algorithm>
#include <array>

#include "base/section_clock.h"
#include "motion/compensate.h"

namespace bsq {
namespace {

// Vectors need no bits: lambda keeps them from following noise.
constexpr double kLambda = 1;
constexpr int kRange = 64;
// How much a neighbour counts by its distance.
constexpr std::array<double, 4> kByDistance{0.85, 0.57, 0.41, 0.33};

size_t reach_of(int preset) {
  if (preset == BSQ_PRESET_FAST) return 2;
  return preset == BSQ_PRESET_SLOW ? 4 : 3;
}

}  // namespace

TemporalFilter::TemporalFilter(const bsq_encoder_config& config, const SearchKernels& kernels,
                               ThreadPool& pool)
    : geometries_(component_geometries(config.sequence)),
      filtered_(geometries_.size() - (config.sequence.alpha != 0 ? 1 : 0)),
      reach_(reach_of(config.preset)),
      screen_content_(config.screen_content != 0),
      kernels_(kernels),
      pool_(pool) {}

std::span<const Frame> TemporalFilter::run(std::span<const Frame> frame,
                                           std::span<const TemporalNeighbour> neighbours,
                                           double strength, int q) {
  const SectionScope scope(Section::kTemporalFilter);
  if (neighbours.empty() || !tables_.fill(q, frame.front().bit_depth)) return {};
  if (predicted_.size() < neighbours.size()) predicted_.resize(neighbours.size());
  search_.current().fill(frame.front().planes[0].view(), frame.front().bit_depth);
  measure_variances(frame.front(), pool_, variances_);
  errors_.clear();
  strengths_.clear();
  for (size_t n = 0; n < neighbours.size(); ++n) {
    predict(neighbours[n], predicted_[n]);
    measure_blend_errors(frame.front(), predicted_[n].components.front(), variances_, pool_,
                         predicted_[n].errors);
    errors_.push_back(&predicted_[n].errors);
    strengths_.push_back(strength * kByDistance[static_cast<size_t>(neighbours[n].distance - 1)]);
  }
  if (weights_.size() < neighbours.size()) weights_.resize(neighbours.size());
  const std::span<BlendWeights> weights = std::span(weights_).first(neighbours.size());
  find_blend_weights(errors_, strengths_, weights);
  if (screen_content_) keep_drawn(frame.front(), weights);
  blend(frame, weights);
  return result_;
}

// What is drawn has no noise, and is coded best as it is.
void TemporalFilter::keep_drawn(const Frame& frame, std::span<BlendWeights> weights) {
  drawn_.find(frame, pool_);
  if (!drawn_.is_screen()) return;
  for (BlendWeights& of_neighbour : weights) {
    for (size_t i = 0; i < of_neighbour.size(); ++i) {
      if (drawn_.kind(i) != DrawnTokens::Kind::kOther) of_neighbour[i].factor = 0;
    }
  }
}

void TemporalFilter::predict(const TemporalNeighbour& neighbour, Predicted& predicted) {
  const Frame& luma = neighbour.components.front();
  MotionSearchConfig config;
  config.lambda = kLambda;
  config.range = kRange;
  config.kernels = &kernels_;
  reference_.fill(luma, kernels_, pool_);
  const Geometry& geometry = geometries_.front();
  const SuperblockRect area{0, 0, geometry.superblocks_x, geometry.superblocks_y};
  // Vectors of 8x8 sub-blocks would cost as much again, and follow noise.
  const std::array<MotionSearchTile, 1> tiles{{{area, MotionRates(false)}}};
  const MotionField& field =
      search_.run(search_.current(), reference_, config, nullptr, tiles, pool_);
  while (predicted.components.size() < filtered_) {
    predicted.components.push_back(geometries_[predicted.components.size()].make_frame());
  }
  motion_compensate({&luma, nullptr}, field, pool_, predicted.components.front());
  for (size_t i = 1; i < filtered_; ++i) {
    Frame& out = predicted.components[i];
    narrow_.reset(out.planes[0].width(), out.planes[0].height());
    take_motion(field, geometries_[i].narrower, narrow_);
    motion_compensate({&neighbour.components[i], nullptr}, narrow_, pool_, out);
  }
}

void TemporalFilter::blend(std::span<const Frame> frame, std::span<const BlendWeights> weights) {
  if (result_.empty()) {
    for (const Geometry& geometry : geometries_) result_.push_back(geometry.make_frame());
  }
  const Plane& luma = frame.front().planes[0];
  planes_.resize(weights.size());
  for (size_t i = 0; i < frame.size(); ++i) {
    for (int p = 0; p < frame[i].plane_count; ++p) {
      const Plane& source = frame[i].planes[p];
      Plane& out = result_[i].planes[p];
      if (i >= filtered_) {
        out = source;
        continue;
      }
      for (size_t n = 0; n < weights.size(); ++n) {
        planes_[n] = predicted_[n].components[i].planes[p].view();
      }
      const bool chroma = i > 0 || p > 0;
      const bool subsampled = p > 0;
      const int block_width = 8 >> (subsampled ? 1 : geometries_[i].narrower);
      const BlendPlane plane{source.view(), planes_,
                             out.view(),    static_cast<size_t>(luma.width() / 8),
                             block_width,   subsampled ? 4 : 8,
                             chroma};
      pool_.parallel_rows(static_cast<size_t>(luma.height() / 8),
                          [&](size_t row) { blend_row(plane, weights, row, tables_); });
    }
  }
}

}  // namespace bsq
