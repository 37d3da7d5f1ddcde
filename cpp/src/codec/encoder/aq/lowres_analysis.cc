// The half-size analysis of the lookahead.
#include "codec/encoder/aq/lowres_analysis.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>

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

void measure_intra(const LowresFrame& current, int by, FrameCosts& costs) {
  for (int bx = 0; bx < costs.blocks_x; ++bx) {
    BlockCost& cost = costs.blocks[costs.at(bx, by)];
    cost = {};
    cost.intra = intra_cost(current, bx * kSide, by * kSide);
    cost.inter = cost.intra;
  }
}

// Finds the blocks of a row of superblocks in a reference.
void search_superblocks(const LowresFrame& current, const LowresFrame& reference,
                        const Geometry& geometry, const SearchKernels& kernels, int sy,
                        FrameCosts& costs) {
  const CoarseSearch search({current.full(), reference.full()}, kRange, kLambda * kCostOne, {},
                            kernels);
  Shift left{};
  for (int sx = 0; sx < geometry.superblocks_x; ++sx) {
    const CoarseShifts coarse =
        search.search_superblock(sx * kSuperblockSize, sy * kSuperblockSize);
    for (int block = 0; block < 4; ++block) {
      const int bx = 2 * sx + (block & 1);
      const int by = 2 * sy + (block >> 1);
      if (bx >= costs.blocks_x || by >= costs.blocks_y) continue;
      BlockCost& cost = costs.blocks[costs.at(bx, by)];
      inter_cost({current, reference, bx * kSide, by * kSide}, coarse.block[block],
                 coarse.superblock, left, cost);
      left = cost.from;
    }
  }
}

// Of the mean of what two references predict.
int mean_cost(const BlockPair& first, Shift from, const BlockPair& second, Shift from_second) {
  const uint8_t* a = first.reference.at(first.x, first.y, from);
  const uint8_t* b = second.reference.at(second.x, second.y, from_second);
  Square mean;
  for (int j = 0; j < kSide; ++j) {
    for (int i = 0; i < kSide; ++i) {
      const int sum = a[j * first.reference.stride() + i] + b[j * second.reference.stride() + i];
      mean[static_cast<size_t>(j * kSide + i)] = static_cast<uint8_t>((sum + 1) >> 1);
    }
  }
  return satd_8x8(first.current.at(first.x, first.y), first.current.stride(), mean.data(), kSide);
}

// Takes the best of the first reference, whose cost this is, the second one, and their mean.
void take_best(const BlockPair& first, const BlockPair& second, const BlockCost& from_second,
               BlockCost& cost) {
  const int mean = mean_cost(first, cost.from, second, from_second.from);
  cost.from_second = from_second.from;
  if (from_second.inter < cost.inter) {
    cost.inter = from_second.inter;
    cost.references = BlockCost::kSecond;
  }
  if (mean <= cost.inter) {
    cost.inter = mean;
    cost.references = BlockCost::kBoth;
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

void LowresAnalysis::keep(size_t number, const Frame& source) {
  Kept& place = kept(number);
  place.number.reset();
  place.frame.fill(source.planes[0].view(), source.bit_depth, pool_);
  place.number = number;
}

void LowresAnalysis::search(const LowresFrame& current, const LowresFrame& reference,
                            FrameCosts& costs) {
  pool_.parallel_rows(static_cast<size_t>(geometry_.superblocks_y), [&](size_t row) {
    search_superblocks(current, reference, geometry_, kernels_, static_cast<int>(row), costs);
  });
}

void LowresAnalysis::measure(size_t number, const Frame& source, FrameCosts& costs) {
  keep(number, source);
  const LowresFrame& current = kept(number).frame;
  costs.blocks_x = (current.width() + kSide - 1) / kSide;
  costs.blocks_y = (current.height() + kSide - 1) / kSide;
  costs.blocks.resize(static_cast<size_t>(costs.blocks_x) * static_cast<size_t>(costs.blocks_y));
  pool_.parallel_rows(static_cast<size_t>(costs.blocks_y),
                      [&](size_t row) { measure_intra(current, static_cast<int>(row), costs); });
  if (number > 0 && keeps(number - 1)) search(current, kept(number - 1).frame, costs);
}

void LowresAnalysis::measure_references(size_t number, size_t first, std::optional<size_t> second,
                                        const FrameCosts& alone, FrameCosts& costs) {
  const LowresFrame& current = kept(number).frame;
  const LowresFrame& before = kept(first).frame;
  costs = alone;
  if (first + 1 != number) search(current, before, costs);
  if (!second) return;
  const LowresFrame& after = kept(*second).frame;
  second_ = alone;
  search(current, after, second_);
  pool_.parallel_rows(static_cast<size_t>(costs.blocks_y), [&](size_t row) {
    const int y = static_cast<int>(row);
    for (int x = 0; x < costs.blocks_x; ++x) {
      const size_t i = costs.at(x, y);
      take_best({current, before, x * kSide, y * kSide}, {current, after, x * kSide, y * kSide},
                second_.blocks[i], costs.blocks[i]);
    }
  });
}

}  // namespace bsq
