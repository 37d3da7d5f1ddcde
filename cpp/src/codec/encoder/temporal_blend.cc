// Weights as in VTM (JVET-O0549 and its successors), in integers for each sample.
#include "codec/encoder/temporal_blend.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/quant_step.h"

namespace bsq {
namespace {

constexpr int kBlock = 8;
constexpr int kOne = 1 << 12;

// Differences up to about sigma count, in sample values of 8 bits: it grows with crf. Errors of
// chroma show less at any quality.
constexpr double kSigmaPerCrf = 0.95;
constexpr double kCrfOfNone = 14;
constexpr double kChromaSigma = 10;
constexpr double kNarrowSigma = 0.8;  // squared, of blocks that are predicted badly

constexpr double kLumaStrength = 0.4;
constexpr double kChromaStrength = 0.55;

// Errors are sums of squares of samples of 10 bits.
constexpr double kFloor = 5;
constexpr double kErrorScale = 20;
constexpr double kGoodError = 50;
constexpr double kBadError = 100;
constexpr double kNoiseScale = 15;
constexpr double kNoiseLimit = 25;

struct BlockSums {
  int32_t errors = 0;   // squares of differences
  int32_t changes = 0;  // squares of what they differ from one sample to the next
};

// Samples have 10 bits at most: 64 squares fit into 32 bits.
int32_t block_variance(const ConstPlaneView& source, int x, int y) {
  int32_t sum = 0;
  int32_t squares = 0;
  for (int j = 0; j < kBlock; ++j) {
    const uint16_t* s = source.row(y + j) + x;
    for (int i = 0; i < kBlock; ++i) {
      const auto sample = static_cast<int16_t>(s[i]);
      sum += sample;
      squares += sample * sample;
    }
  }
  return squares - static_cast<int32_t>(int64_t{sum} * sum / (kBlock * kBlock));
}

int32_t squared(int difference) {
  const auto d = static_cast<int16_t>(difference);
  return d * d;
}

BlockSums block_sums(const ConstPlaneView& source, const ConstPlaneView& predicted, int x, int y) {
  int16_t d[kBlock][kBlock];
  for (int j = 0; j < kBlock; ++j) {
    const uint16_t* s = source.row(y + j) + x;
    const uint16_t* p = predicted.row(y + j) + x;
    for (int i = 0; i < kBlock; ++i) d[j][i] = static_cast<int16_t>(p[i] - s[i]);
  }
  BlockSums sums;
  for (int j = 0; j < kBlock; ++j) {
    for (int i = 0; i < kBlock; ++i) sums.errors += squared(d[j][i]);
    for (int i = 1; i < kBlock; ++i) sums.changes += squared(d[j][i] - d[j][i - 1]);
    if (j == 0) continue;
    for (int i = 0; i < kBlock; ++i) sums.changes += squared(d[j][i] - d[j - 1][i]);
  }
  return sums;
}

// `scale`: of squares, to those of 10 bits.
BlendError blend_error(const BlockSums& sums, int32_t variance, double scale) {
  constexpr double kSamples = kBlock * kBlock;
  constexpr double kPairs = 2.0 * kBlock * (kBlock - 1);
  const double errors = scale * sums.errors;
  const double changes = scale * sums.changes;
  const double noise = (kNoiseScale * kPairs / kSamples * errors + kFloor) / (changes + kFloor);
  return {kErrorScale * (errors + kFloor) / (scale * variance + kFloor), noise < kNoiseLimit};
}

// A row of a block: what neighbours add to its samples.
template <int kWidth>
class BlendSums {
 public:
  explicit BlendSums(const uint16_t* source) : source_(source) {
    for (int i = 0; i < kWidth; ++i) {
      sums_[i] = kOne * source_[i];
      weights_[i] = kOne;
    }
  }

  void add(const uint16_t* other, int32_t factor, const int32_t* by_difference) {
    for (int i = 0; i < kWidth; ++i) {
      const int32_t w = factor * by_difference[std::abs(other[i] - source_[i])] / kOne;
      sums_[i] += w * other[i];
      weights_[i] += w;
    }
  }

  // Floats hold the quotients closely enough, and vectors of them divide.
  void store(uint16_t* out) const {
    for (int i = 0; i < kWidth; ++i) {
      const int32_t rounded = sums_[i] + (weights_[i] >> 1);
      const float mean = static_cast<float>(rounded) / static_cast<float>(weights_[i]);
      out[i] = static_cast<uint16_t>(static_cast<int32_t>(mean));
    }
  }

 private:
  const uint16_t* source_;
  int32_t sums_[kWidth];
  int32_t weights_[kWidth];
};

template <int kWidth>
void blend_blocks(const BlendPlane& plane, std::span<const BlendWeights> weights, size_t row,
                  const BlendTables& tables) {
  const int y_begin = static_cast<int>(row) * plane.block_height;
  for (int x = 0; x < plane.source.width; x += kWidth) {
    const size_t block = row * plane.columns + std::min<size_t>(x / kWidth, plane.columns - 1);
    for (int y = y_begin; y < y_begin + plane.block_height; ++y) {
      BlendSums<kWidth> sums(plane.source.row(y) + x);
      for (size_t n = 0; n < weights.size(); ++n) {
        const BlendWeight& weight = weights[n][block];
        sums.add(plane.predicted[n].row(y) + x, weight.factor,
                 tables.of(plane.chroma, weight.narrow));
      }
      sums.store(plane.out.row(y) + x);
    }
  }
}

BlendWeight blend_weight(const BlendError& block, double least, double strength) {
  double factor = strength * (least + 1) / (block.error + 1);
  if (!block.is_noise) factor *= 0.6;
  if (block.error < kGoodError) {
    factor *= 1.2;
  } else if (block.error > kBadError) {
    factor *= 0.6;
  }
  return {static_cast<int32_t>(std::lround(kOne * factor)),
          !block.is_noise || block.error >= kGoodError};
}

}  // namespace

void measure_variances(const Frame& source, ThreadPool& pool, BlendVariances& variances) {
  const ConstPlaneView luma = source.planes[0].view();
  const int columns = luma.width / kBlock;
  const int rows = luma.height / kBlock;
  variances.resize(static_cast<size_t>(columns) * static_cast<size_t>(rows));
  pool.parallel_rows(static_cast<size_t>(rows), [&](size_t row) {
    int32_t* out = variances.data() + row * static_cast<size_t>(columns);
    for (int x = 0; x < columns; ++x) {
      out[x] = block_variance(luma, x * kBlock, static_cast<int>(row) * kBlock);
    }
  });
}

void measure_blend_errors(const Frame& source, const Frame& predicted,
                          const BlendVariances& variances, ThreadPool& pool, BlendErrors& errors) {
  const ConstPlaneView luma = source.planes[0].view();
  const ConstPlaneView other = predicted.planes[0].view();
  const int columns = luma.width / kBlock;
  const double scale = std::exp2(2 * (10 - source.bit_depth));
  errors.resize(variances.size());
  pool.parallel_rows(static_cast<size_t>(luma.height / kBlock), [&](size_t row) {
    const size_t begin = row * static_cast<size_t>(columns);
    for (int x = 0; x < columns; ++x) {
      const size_t i = begin + static_cast<size_t>(x);
      errors[i] = blend_error(block_sums(luma, other, x * kBlock, static_cast<int>(row) * kBlock),
                              variances[i], scale);
    }
  });
}

void find_blend_weights(std::span<const BlendErrors* const> errors,
                        std::span<const double> strengths, std::span<BlendWeights> weights) {
  const size_t blocks = errors.front()->size();
  for (BlendWeights& w : weights) w.resize(blocks);
  for (size_t i = 0; i < blocks; ++i) {
    double least = (*errors.front())[i].error;
    for (const BlendErrors* e : errors) least = std::min(least, (*e)[i].error);
    for (size_t n = 0; n < errors.size(); ++n) {
      weights[n][i] = blend_weight((*errors[n])[i], least, strengths[n]);
    }
  }
}

bool BlendTables::fill(int q, int bit_depth) {
  if (q == q_) return any_;
  q_ = q;
  const double luma_sigma = kSigmaPerCrf * (crf_of_q(q) - kCrfOfNone);
  any_ = luma_sigma > 0;
  if (!any_) return false;
  const double scale = std::exp2(8 - bit_depth);
  for (const bool chroma : {false, true}) {
    const double sigma = chroma ? std::min(kChromaSigma, luma_sigma) : luma_sigma;
    const double strength = chroma ? kChromaStrength : kLumaStrength;
    for (const bool narrow : {false, true}) {
      std::vector<int32_t>& table = tables_[chroma ? 1 : 0][narrow ? 1 : 0];
      table.resize(size_t{1} << bit_depth);
      const double spread = 2 * sigma * sigma * (narrow ? kNarrowSigma : 1);
      for (size_t i = 0; i < table.size(); ++i) {
        const double difference = scale * static_cast<double>(i);
        table[i] = static_cast<int32_t>(
            std::lround(kOne * strength * std::exp(-difference * difference / spread)));
      }
    }
  }
  return true;
}

void blend_row(const BlendPlane& plane, std::span<const BlendWeights> weights, size_t row,
               const BlendTables& tables) {
  if (plane.block_width == kBlock) {
    blend_blocks<kBlock>(plane, weights, row, tables);
  } else {
    blend_blocks<kBlock / 2>(plane, weights, row, tables);
  }
}

}  // namespace bsq
