// MB-tree: propagation cost from the last known frame back to the first.
#include "codec/encoder/aq/lookahead.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <utility>

#include "codec/encoder/mode/decisions.h"

namespace bsq {
namespace {

constexpr int kBlock = FrameCosts::kBlock;
constexpr int kSuperblockBlocks = 2;  // a side of a superblock

// Adds `amount`, propagated from the block (x, y) of a frame, to the blocks that it is predicted
// from, by how much of each it covers.
void propagate(const FrameCosts& costs, int x, int y, double amount, std::vector<double>& before) {
  const Shift from = costs.blocks[costs.at(x, y)].from;
  const int left = x * kBlock + from.x;
  const int top = y * kBlock + from.y;
  const int over_x = left & (kBlock - 1);
  const int over_y = top & (kBlock - 1);
  const std::array<int, 2> wide{kBlock - over_x, over_x};
  const std::array<int, 2> high{kBlock - over_y, over_y};
  for (int j = 0; j < 2; ++j) {
    for (int i = 0; i < 2; ++i) {
      const int part = wide[static_cast<size_t>(i)] * high[static_cast<size_t>(j)];
      // What lies outside of the frame is a copy of its edge.
      const int to_x = std::clamp((left - over_x) / kBlock + i, 0, costs.blocks_x - 1);
      const int to_y = std::clamp((top - over_y) / kBlock + j, 0, costs.blocks_y - 1);
      before[costs.at(to_x, to_y)] += amount * part / (kBlock * kBlock);
    }
  }
}

// Propagates all of a frame: of the cost of a block, the part that need not be coded again.
void propagate_frame(const FrameCosts& costs, const std::vector<double>& propagated,
                     std::vector<double>& before) {
  std::fill(before.begin(), before.end(), 0.0);
  for (int y = 0; y < costs.blocks_y; ++y) {
    for (int x = 0; x < costs.blocks_x; ++x) {
      const BlockCost& cost = costs.blocks[costs.at(x, y)];
      if (cost.inter >= cost.intra) continue;
      const double kept = static_cast<double>(cost.intra - cost.inter) / cost.intra;
      propagate(costs, x, y, (propagated[costs.at(x, y)] + cost.intra) * kept, before);
    }
  }
}

// The mean over the blocks of a superblock, each counting by its own cost.
double superblock_propagation(const FrameCosts& costs, const std::vector<double>& propagated,
                              int sx, int sy) {
  double octaves = 0;
  double weights = 0;
  for (int y = sy * kSuperblockBlocks; y < std::min((sy + 1) * kSuperblockBlocks, costs.blocks_y);
       ++y) {
    for (int x = sx * kSuperblockBlocks; x < std::min((sx + 1) * kSuperblockBlocks, costs.blocks_x);
         ++x) {
      const double own = costs.blocks[costs.at(x, y)].intra;
      octaves += own * std::log2((own + propagated[costs.at(x, y)]) / own);
      weights += own;
    }
  }
  return octaves / weights;
}

}  // namespace

std::span<const double> PropagationCost::of(std::span<const FrameCosts* const> frames,
                                            const Geometry& geometry) {
  const FrameCosts& first = *frames.front();
  propagated_.assign(first.blocks.size(), 0.0);
  before_.resize(first.blocks.size());
  for (size_t i = frames.size() - 1; i > 0; --i) {
    propagate_frame(*frames[i], propagated_, before_);
    std::swap(propagated_, before_);
  }
  superblocks_.resize(geometry.superblocks());
  for (int sy = 0; sy < geometry.superblocks_y; ++sy) {
    for (int sx = 0; sx < geometry.superblocks_x; ++sx) {
      superblocks_[geometry.superblock_index(sx, sy)] =
          superblock_propagation(first, propagated_, sx, sy);
    }
  }
  return superblocks_;
}

bool continues(const FrameCosts& costs) {
  double intra = 0;
  double inter = 0;
  for (const BlockCost& block : costs.blocks) {
    intra += block.intra;
    inter += block.inter;
  }
  return inter < (1.0 - kDecisions.continued) * intra;
}

}  // namespace bsq
