// The weights of a temporal filter: by block, how well a neighbour predicts it; by sample, how far
// its prediction is off.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/plane.h"
#include "base/thread_pool.h"

namespace bsq {

// Sums of squared differences of each 8x8 block of luma from its mean. Blocks in raster order;
// planes of one size, with sides that are multiples of 8.
using BlendVariances = std::vector<int32_t>;
void measure_variances(const Frame& source, ThreadPool& pool, BlendVariances& variances);

// What a prediction misses in each of these blocks, relative to what the block holds.
struct BlendError {
  double error = 0;       // 20: as much as the variance of the block
  bool is_noise = false;  // neighbouring errors have little to do with each other
};
using BlendErrors = std::vector<BlendError>;

void measure_blend_errors(const Frame& source, const Frame& predicted,
                          const BlendVariances& variances, ThreadPool& pool, BlendErrors& errors);

// Of one neighbour, for each of the blocks.
struct BlendWeight {
  int32_t factor = 0;  // 2^-12
  bool narrow = false;
};
using BlendWeights = std::vector<BlendWeight>;

// `errors`: of all neighbours in turn. `strengths`: likewise.
void find_blend_weights(std::span<const BlendErrors* const> errors,
                        std::span<const double> strengths, std::span<BlendWeights> weights);

// Factors in 2^-12 by the absolute difference of two samples.
class BlendTables {
 public:
  // For a stream at q. False if no difference counts at all: near lossless, the filter is off.
  bool fill(int q, int bit_depth);
  const int32_t* of(bool chroma, bool narrow) const {
    return tables_[chroma ? 1 : 0][narrow ? 1 : 0].data();
  }

 private:
  std::array<std::array<std::vector<int32_t>, 2>, 2> tables_;
  int q_ = -1;
  bool any_ = false;
};

// A plane in which a block of luma has block_width x block_height samples.
struct BlendPlane {
  ConstPlaneView source;
  std::span<const ConstPlaneView> predicted;  // of every neighbour
  PlaneView out;
  size_t columns = 0;   // of blocks of luma; samples after the last one count with it
  int block_width = 8;  // or 4
  int block_height = 8;
  bool chroma = false;
};

// A row of blocks. Distinct rows may run in parallel.
void blend_row(const BlendPlane& plane, std::span<const BlendWeights> weights, size_t row,
               const BlendTables& tables);

}  // namespace bsq
