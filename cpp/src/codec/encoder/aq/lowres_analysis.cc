// The half-size analysis of the look-ahead.
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

constexpr int kCell = 8;  // a block, at half size
constexpr int kRange = 48;
// The price of a bit of a vector in absolute differences.
constexpr int kLambda = 4;
constexpr int kRounds = 6;  // of steps by one sample

using Cell = std::array<uint8_t, kCell * kCell>;

// The block at half-size (x, y) of `current`, searched for in `reference`.
struct BlockPair {
  const LowPicture& current;
  const LowPicture& reference;
  int x;
  int y;

  // Keeps the block within the samples around the reference.
  Shift clamp(Shift v) const {
    constexpr int kReach = 2 * (LowPicture::kPad - 2);
    return {std::clamp(v.x, -2 * x - kReach, 2 * (reference.width() - x - kCell) + kReach),
            std::clamp(v.y, -2 * y - kReach, 2 * (reference.height() - y - kCell) + kReach)};
  }
  int sad(Shift v) const {
    return block_sad(current.at(x, y), current.stride(), reference.at(x, y, v), reference.stride(),
                     kCell, kCell);
  }
  int satd(Shift v) const {
    return cell_satd(current.at(x, y), current.stride(), reference.at(x, y, v), reference.stride());
  }
};

// What the samples above and left of a block say of it, in four ways; the best one's cost. At the
// picture's edges they are copies of the block's own.
int intra_cost(const LowPicture& picture, int x, int y) {
  const uint8_t* block = picture.at(x, y);
  const ptrdiff_t stride = picture.stride();
  const uint8_t* top = block - stride;
  std::array<int, kCell> left{};
  int sum = 0;
  for (int j = 0; j < kCell; ++j) {
    left[static_cast<size_t>(j)] = block[j * stride - 1];
    sum += left[static_cast<size_t>(j)] + top[j];
  }
  const int mean = (sum + kCell) / (2 * kCell);
  int best = 0;
  const auto attempt = [&](const auto& sample) {
    Cell predicted;
    for (int j = 0; j < kCell; ++j) {
      for (int i = 0; i < kCell; ++i) {
        predicted[static_cast<size_t>(j * kCell + i)] = static_cast<uint8_t>(sample(i, j));
      }
    }
    const int cost = cell_satd(block, stride, predicted.data(), kCell);
    if (best == 0 || cost < best) best = std::max(cost, 1);
  };
  attempt([&](int, int) { return mean; });
  attempt([&](int i, int) { return int{top[i]}; });
  attempt([&](int, int j) { return left[static_cast<size_t>(j)]; });
  // The plane through the corners above right and below left.
  const int across = top[kCell - 1];
  const int down = left[kCell - 1];
  attempt([&](int i, int j) {
    const int row = (kCell - 1 - i) * left[static_cast<size_t>(j)] + (i + 1) * across;
    const int column = (kCell - 1 - j) * top[i] + (j + 1) * down;
    return (row + column + kCell) / (2 * kCell);
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

void inter_cost(const BlockPair& pair, Shift coarse, Shift window, Shift neighbour,
                BlockCost& cost) {
  Shift start{};
  int least = pair.sad(start);
  if (least > 0) {
    for (const Shift& candidate : {coarse, window, neighbour}) {
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

void measure_windows(const LowPicture& current, const LowPicture* reference,
                     const Geometry& geometry, const SearchKernels& kernels, int wy,
                     PictureCosts& costs) {
  Shift left{};
  for (int wx = 0; wx < geometry.windows_x; ++wx) {
    CoarseShifts coarse;
    if (reference != nullptr) {
      const CoarseSearch search({current.full(), reference->full()}, kRange, kLambda * kCostOne,
                                kernels);
      coarse = search.search_window(wx * kMotionWindowSize, wy * kMotionWindowSize);
    }
    for (int part = 0; part < 4; ++part) {
      const int bx = 2 * wx + (part & 1);
      const int by = 2 * wy + (part >> 1);
      if (bx >= costs.blocks_x || by >= costs.blocks_y) continue;
      BlockCost& cost = costs.blocks[costs.at(bx, by)];
      cost.intra = intra_cost(current, bx * kCell, by * kCell);
      cost.inter = cost.intra;
      if (reference == nullptr) continue;
      inter_cost({current, *reference, bx * kCell, by * kCell}, coarse.part[part], coarse.window,
                 left, cost);
      left = cost.from;
    }
  }
}

}  // namespace

void LowPicture::fill(const ConstPlaneView& luma, int bit_depth, ThreadPool& pool) {
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

const uint8_t* LowPicture::at(int x, int y, Shift shift) const {
  const std::vector<uint8_t>& phase = phases_[(shift.x & 1) + 2 * (shift.y & 1)];
  return phase.data() + (y + (shift.y >> 1) + kPad) * stride_ + x + (shift.x >> 1) + kPad;
}

void LowAnalysis::measure(const Frame& source, PictureCosts& costs) {
  const LowPicture* before = std::exchange(has_before_, false) ? &before_ : nullptr;
  current_.fill(source.planes[0].view(), source.bit_depth, pool_);
  costs.blocks_x = (current_.width() + kCell - 1) / kCell;
  costs.blocks_y = (current_.height() + kCell - 1) / kCell;
  costs.blocks.resize(static_cast<size_t>(costs.blocks_x) * static_cast<size_t>(costs.blocks_y));
  pool_.parallel_rows(static_cast<size_t>(geometry_.windows_y), [&](size_t row) {
    measure_windows(current_, before, geometry_, kernels_, static_cast<int>(row), costs);
  });
  std::swap(current_, before_);
  has_before_ = true;
}

}  // namespace bsq
