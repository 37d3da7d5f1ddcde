// Propagation of importance from the last picture known back to the first.
#include "codec/encoder/aq/lookahead.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <utility>

#include "codec/encoder/mode/decisions.h"

namespace bsq {
namespace {

constexpr int kBlock = PictureCosts::kBlock;
constexpr int kWindowBlocks = 2;  // a side of a window

// Adds what hangs on the block (x, y) of a picture to the blocks that it comes from, by how much of
// each it covers.
void hand_back(const PictureCosts& costs, int x, int y, double amount,
               std::vector<double>& before) {
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
      // What lies outside of the picture is a copy of its edge.
      const int to_x = std::clamp((left - over_x) / kBlock + i, 0, costs.blocks_x - 1);
      const int to_y = std::clamp((top - over_y) / kBlock + j, 0, costs.blocks_y - 1);
      before[costs.at(to_x, to_y)] += amount * part / (kBlock * kBlock);
    }
  }
}

// Hands all of a picture back: of what a block is worth, the part that need not be coded again.
void hand_back_picture(const PictureCosts& costs, const std::vector<double>& hanging,
                       std::vector<double>& before) {
  std::fill(before.begin(), before.end(), 0.0);
  for (int y = 0; y < costs.blocks_y; ++y) {
    for (int x = 0; x < costs.blocks_x; ++x) {
      const BlockCost& cost = costs.blocks[costs.at(x, y)];
      if (cost.inter >= cost.intra) continue;
      const double kept = static_cast<double>(cost.intra - cost.inter) / cost.intra;
      hand_back(costs, x, y, (hanging[costs.at(x, y)] + cost.intra) * kept, before);
    }
  }
}

// The mean over the blocks of a window, each counting by its own cost.
double window_importance(const PictureCosts& costs, const std::vector<double>& hanging, int wx,
                         int wy) {
  double octaves = 0;
  double weights = 0;
  for (int y = wy * kWindowBlocks; y < std::min((wy + 1) * kWindowBlocks, costs.blocks_y); ++y) {
    for (int x = wx * kWindowBlocks; x < std::min((wx + 1) * kWindowBlocks, costs.blocks_x); ++x) {
      const double own = costs.blocks[costs.at(x, y)].intra;
      octaves += own * std::log2((own + hanging[costs.at(x, y)]) / own);
      weights += own;
    }
  }
  return octaves / weights;
}

}  // namespace

std::span<const double> Importance::of(std::span<const PictureCosts* const> pictures,
                                       const Geometry& geometry) {
  const PictureCosts& first = *pictures.front();
  hanging_.assign(first.blocks.size(), 0.0);
  before_.resize(first.blocks.size());
  for (size_t i = pictures.size() - 1; i > 0; --i) {
    hand_back_picture(*pictures[i], hanging_, before_);
    std::swap(hanging_, before_);
  }
  windows_.resize(geometry.windows());
  for (int wy = 0; wy < geometry.windows_y; ++wy) {
    for (int wx = 0; wx < geometry.windows_x; ++wx) {
      windows_[geometry.window_index(wx, wy)] = window_importance(first, hanging_, wx, wy);
    }
  }
  return windows_;
}

bool continues(const PictureCosts& costs) {
  double intra = 0;
  double inter = 0;
  for (const BlockCost& block : costs.blocks) {
    intra += block.intra;
    inter += block.inter;
  }
  return inter < (1.0 - kDecisions.continued) * intra;
}

}  // namespace bsq
