// The half-size analysis of the lookahead.
#include "codec/encoder/aq/lowres_analysis.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "motion/motion_field.h"
#include "motion/search_coarse.h"
#include "motion/search_cost.h"
#include "motion/search_pixel.h"

namespace bsq {
namespace {

constexpr int kSide = 8;  // a block, at half size
constexpr int kRange = 48;
// Absolute difference per bit of a vector.
constexpr int kLambda = 4;
constexpr int kRounds = 6;  // of steps by one sample

using Square = std::array<uint8_t, kSide * kSide>;

// The block at half-size (x, y) of `current`, searched for in `reference`.
struct BlockPair {
  const LowresFrame& current;
  const LowresFrame& reference;
  int x;
  int y;

  // Keeps the block within the samples around the reference.
  Shift clamp(Shift v) const {
    constexpr int kReach = 2 * (LowresFrame::kPad - 2);
    return {std::clamp(v.x, -2 * x - kReach, 2 * (reference.width() - x - kSide) + kReach),
            std::clamp(v.y, -2 * y - kReach, 2 * (reference.height() - y - kSide) + kReach)};
  }
  int sad(Shift v) const {
    return block_sad(current.at(x, y), current.stride(), reference.at(x, y, v), reference.stride(),
                     kSide, kSide);
  }
  int satd(Shift v) const {
    return satd_8x8(current.at(x, y), current.stride(), reference.at(x, y, v), reference.stride());
  }
};

// What the samples above and left of a block say of it, in four ways; the best one's cost. At the
// frame's edges they are copies of the block's own.
int intra_cost(const LowresFrame& frame, int x, int y) {
  const uint8_t* block = frame.at(x, y);
  const ptrdiff_t stride = frame.stride();
  const uint8_t* top = block - stride;
  std::array<int, kSide> left{};
  int sum = 0;
  for (int j = 0; j < kSide; ++j) {
    left[static_cast<size_t>(j)] = block[j * stride - 1];
    sum += left[static_cast<size_t>(j)] + top[j];
  }
  const int mean = (sum + kSide) / (2 * kSide);
  int best = 0;
  const auto attempt = [&](const auto& sample) {
    Square predicted;
    for (int j = 0; j < kSide; ++j) {
      for (int i = 0; i < kSide; ++i) {
        predicted[static_cast<size_t>(j * kSide + i)] = static_cast<uint8_t>(sample(i, j));
      }
    }
    const int cost = satd_8x8(block, stride, predicted.data(), kSide);
    if (best == 0 || cost < best) best = std::max(cost, 1);
  };
  attempt([&](int, int) { return mean; });
  attempt([&](int i, int) { return int{top[i]}; });
  attempt([&](int, int j) { return left[static_cast<size_t>(j)]; });
  // The plane through the corners above right and below left.
  const int across = top[kSide - 1];
  const int down = left[kSide - 1];
  attempt([&](int i, int j) {
    const int row = (kSide - 1 - i) * left[static_cast<size_t>(j)] + (i + 1) * across;
    const int column = (kSide - 1 - j) * top[i] + (j + 1) * down;
    return (row + column + kSide) / (2 * kSide);
  });
  return best;
}

// The best vector near `start`, by steps of one full-size sample.
Shift descend(const BlockPair& pair, Shift start, int cost) {
  constexpr Shift kSteps[] = {{-1, 0}, {1, 0}, {0, -1}, {0, 1}};
  Shift best = start;
  for (int round = 0; round < kRounds; ++round) {
    const Shift centre = best;
    for (const Shift& step : kSteps) {
      const Shift v = pair.clamp({centre.x + step.x, centre.y + step.y});
      if (v == centre) continue;
      const int found = pair.sad(v);
      if (found < cost) {
        cost = found;
        best = v;
      }
    }
    if (best == centre) break;
  }
  return best;
}

void inter_cost(const BlockPair& pair, Shift coarse, Shift superblock, Shift neighbour,
                BlockCost& cost) {
  Shift start{};
  int least = pair.sad(start);
  if (least > 0) {
    for (const Shift& candidate : {coarse, superblock, neighbour}) {
      const Shift v = pair.clamp(candidate);
      const int found = pair.sad(v) + kLambda;
      if (found < least) {
        least = found;
        start = v;
      }
    }
  }
  const Shift best = descend(pair, start, least);
  cost.inter = pair.satd(best);
  cost.from = best;
  if (!(best == Shift{})) {
    const int still = pair.satd({});
    if (still <= cost.inter + kLambda) {
      cost.inter = still;
      cost.from = {};
    }
  }
  cost.inter = std::min(cost.inter, cost.intra);
}

void measure_superblocks(const LowresFrame& current, const LowresFrame* reference,
                         const Geometry& geometry, const SearchKernels& kernels, int sy,
                         FrameCosts& costs) {
  Shift left{};
  for (int sx = 0; sx < geometry.superblocks_x; ++sx) {
    CoarseShifts coarse;
    if (reference != nullptr) {
      const CoarseSearch search({current.full(), reference->full()}, kRange, kLambda * kCostOne,
                                kernels);
      coarse = search.search_superblock(sx * kSuperblockSize, sy * kSuperblockSize);
    }
    for (int block = 0; block < 4; ++block) {
      const int bx = 2 * sx + (block & 1);
      const int by = 2 * sy + (block >> 1);
      if (bx >= costs.blocks_x || by >= costs.blocks_y) continue;
      BlockCost& cost = costs.blocks[costs.at(bx, by)];
      cost.intra = intra_cost(current, bx * kSide, by * kSide);
      cost.inter = cost.intra;
      if (reference == nullptr) continue;
      inter_cost({current, *reference, bx * kSide, by * kSide}, coarse.block[block],
                 coarse.superblock, left, cost);
      left = cost.from;
    }
  }
}

}  // namespace

void LowresFrame::fill(const ConstPlaneView& luma, int bit_depth, ThreadPool& pool) {
  full_.fill(luma, bit_depth);
  width_ = luma.width / 2;
  height_ = luma.height / 2;
  stride_ = luma.width / 2 + 2 * kPad;
  for (auto& phase : phases_) {
    phase.resize(static_cast<size_t>(stride_) * static_cast<size_t>(height_ + 2 * kPad));
  }
  pool.parallel_for(4, [&](size_t i) {
    const int x = static_cast<int>(i & 1) - 2 * kPad;
    const int y = static_cast<int>(i >> 1) - 2 * kPad;
    halve(full_.at(0, x, y), full_.stride(0), phases_[i].data(), stride_, width_ + 2 * kPad,
          height_ + 2 * kPad);
  });
}

const uint8_t* LowresFrame::at(int x, int y, Shift shift) const {
  const std::vector<uint8_t>& phase = phases_[(shift.x & 1) + 2 * (shift.y & 1)];
  return phase.data() + (y + (shift.y >> 1) + kPad) * stride_ + x + (shift.x >> 1) + kPad;
}

void LowresAnalysis::measure(const Frame& source, FrameCosts& costs) {
  const LowresFrame* before = std::exchange(has_before_, false) ? &before_ : nullptr;
  current_.fill(source.planes[0].view(), source.bit_depth, pool_);
  costs.blocks_x = (current_.width() + kSide - 1) / kSide;
  costs.blocks_y = (current_.height() + kSide - 1) / kSide;
  costs.blocks.resize(static_cast<size_t>(costs.blocks_x) * static_cast<size_t>(costs.blocks_y));
  pool_.parallel_rows(static_cast<size_t>(geometry_.superblocks_y), [&](size_t row) {
    measure_superblocks(current_, before, geometry_, kernels_, static_cast<int>(row), costs);
  });
  std::swap(current_, before_);
  has_before_ = true;
}

}  // namespace bsq
