// MB-tree: propagation cost in reverse coding order, along the references of frames.
#include "codec/encoder/aq/lookahead.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include "codec/encoder/mode/decisions.h"

namespace bsq {
namespace {

constexpr int kBlock = FrameCosts::kBlock;
constexpr int kSuperblockBlocks = 2;  // a side of a superblock

// Adds `amount`, propagated from the block (x, y) of a frame, to the blocks of a reference that it
// is predicted from, by how much of each it covers.
void propagate(const FrameCosts& costs, int x, int y, Shift from, double amount,
               std::vector<double>& reference) {
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
      reference[costs.at(to_x, to_y)] += amount * part / (kBlock * kBlock);
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

// Propagates all of a frame: of the cost of a block, the part that need not be coded again. Of two
// references each has half of it.
void PropagationCost::propagate_frame(const PropagationFrame& frame, size_t place) {
  const FrameCosts& costs = *frame.costs;
  const std::vector<double>& propagated = propagated_[place];
  const auto to = [&](int reference) {
    return reference == PropagationFrame::kNone ? nullptr
                                                : &propagated_[static_cast<size_t>(reference)];
  };
  std::vector<double>* const first = to(frame.first);
  std::vector<double>* const second = to(frame.second);
  if (first == nullptr && second == nullptr) return;
  for (int y = 0; y < costs.blocks_y; ++y) {
    for (int x = 0; x < costs.blocks_x; ++x) {
      const BlockCost& cost = costs.blocks[costs.at(x, y)];
      if (cost.inter >= cost.intra) continue;
      const double kept = static_cast<double>(cost.intra - cost.inter) / cost.intra;
      const double share = cost.references == BlockCost::kBoth ? 0.5 : 1.0;
      const double amount = (propagated[costs.at(x, y)] + cost.intra) * kept * share;
      if (first != nullptr && (cost.references & BlockCost::kFirst) != 0) {
        propagate(costs, x, y, cost.from, amount, *first);
      }
      if (second != nullptr && (cost.references & BlockCost::kSecond) != 0) {
        propagate(costs, x, y, cost.from_second, amount, *second);
      }
    }
  }
}

// With r of the cost left in each frame after the one before, `seen` frames carry r + r^2 + ..
// times the frame's own.
std::span<const double> PropagationCost::prolong(size_t seen, int length) {
  if (length <= static_cast<int>(seen)) return superblocks_;
  const auto carried = [](double left, double frames) {
    return left >= 1 ? frames : left * (1 - std::pow(left, frames)) / (1 - left);
  };
  for (double& octaves : superblocks_) {
    const double target = std::exp2(octaves) - 1;
    double low = 0;
    double high = 1;
    for (int i = 0; i < 16; ++i) {
      const double middle = (low + high) / 2;
      (carried(middle, static_cast<double>(seen)) < target ? low : high) = middle;
    }
    octaves = std::log2(1 + carried(low, length));
  }
  return superblocks_;
}

std::span<const double> PropagationCost::of(std::span<const PropagationFrame> frames,
                                            const Geometry& geometry) {
  const FrameCosts& costs = *frames.front().costs;
  if (propagated_.size() < frames.size()) propagated_.resize(frames.size());
  for (size_t i = 0; i < frames.size(); ++i) propagated_[i].assign(costs.blocks.size(), 0.0);
  for (size_t i = frames.size() - 1; i > 0; --i) propagate_frame(frames[i], i);
  superblocks_.resize(geometry.superblocks());
  for (int sy = 0; sy < geometry.superblocks_y; ++sy) {
    for (int sx = 0; sx < geometry.superblocks_x; ++sx) {
      superblocks_[geometry.superblock_index(sx, sy)] =
          superblock_propagation(costs, propagated_.front(), sx, sy);
    }
  }
  return superblocks_;
}

bool continues(const FrameCosts& costs) {
  const FrameCosts::Totals totals = costs.totals();
  return totals.inter < (1.0 - kDecisions.continued) * totals.intra;
}

}  // namespace bsq
