// The exhaustive search at quarter size and its refinement at half size.
#include "motion/search_coarse.h"

#include <algorithm>
#include <limits>

#include "motion/motion_field.h"
#include "motion/search_cost.h"
#include "motion/search_pixel.h"

namespace bsq {

namespace {

constexpr int kMaxLanes =
    2 * kMaxSearchRange / 4 + 16;  // places along a row of the quarter-size search

// Differences of the four quadrants of a superblock at every place of one row of the search.
struct Quadrants {
  uint16_t sums[4][kMaxLanes];

  void clear(int count) {
    for (auto& row : sums) std::fill_n(row, count, uint16_t{0});
  }
};

}  // namespace

// Exhaustive search at quarter size. Returns vectors in quarter-size samples.
CoarseShifts CoarseSearch::search_quarter(const SearchArea& superblock) const {
  constexpr int kLevel = 2;
  const int x0 = superblock.x >> kLevel;
  const int y0 = superblock.y >> kLevel;
  const int width = superblock.width >> kLevel;
  const int height = superblock.height >> kLevel;
  ShiftLimits lim = pair_.limits(superblock, kLevel);
  const int range = range_ >> kLevel;
  lim = {std::max(lim.x_min, -range), std::min(lim.x_max, range), std::max(lim.y_min, -range),
         std::min(lim.y_max, range)};
  const int count = lim.x_max - lim.x_min + 1;
  // A 16th of the samples are here, so a 16th of a bit's rate; a sample is 16 quarter samples.
  const auto bias = [&](int d) { return (lambda_ * component_bits(16 * d) / 16) / kCostOne; };
  int bias_x[kMaxLanes];
  for (int i = 0; i < count; ++i) bias_x[i] = bias(lim.x_min + i);

  CoarseShifts best;
  int best_superblock = std::numeric_limits<int>::max();
  int best_block[4];
  std::fill_n(best_block, 4, std::numeric_limits<int>::max());
  Quadrants q;
  for (int dy = lim.y_min; dy <= lim.y_max; ++dy) {
    q.clear((count + 15) & ~15);
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; x += 4) {
        const uint8_t* samples = pair_.current.at(kLevel, x0 + x, y0 + y);
        const uint8_t* from = pair_.reference.at(kLevel, x0 + x + lim.x_min, y0 + y + dy);
        uint16_t* sums = q.sums[(y >> 2) * 2 + (x >> 2)];
        if (width - x >= 4) {
          kernels_.accumulate_sad4(samples, from, count, sums);
        } else {
          accumulate_sad(samples, from, width - x, count, sums);
        }
      }
    }
    const int bias_y = bias(dy);
    for (int i = 0; i < count; ++i) {
      const int rate = bias_x[i] + bias_y;
      int sum = rate;
      for (int block = 0; block < 4; ++block) {
        const int cost = q.sums[block][i];
        sum += cost;
        if (cost + rate < best_block[block]) {
          best_block[block] = cost + rate;
          best.block[block] = {lim.x_min + i, dy};
        }
      }
      if (sum < best_superblock) {
        best_superblock = sum;
        best.superblock = {lim.x_min + i, dy};
      }
    }
  }
  return best;
}

// Refines vectors of quarter-size samples at half size. Returns full samples.
Shift CoarseSearch::refine_half(const SearchArea& a, Shift first, Shift second) const {
  constexpr int kLevel = 1;
  const ShiftLimits lim = pair_.limits(a, kLevel);
  first = lim.clamp({2 * first.x, 2 * first.y});
  second = lim.clamp({2 * second.x, 2 * second.y});
  Shift centre = first;
  if (!(second == first) && pair_.sad(kLevel, a, second) < pair_.sad(kLevel, a, first))
    centre = second;
  Shift best = centre;
  int best_cost = pair_.sad(kLevel, a, centre);
  for (int dy = -2; dy <= 2; ++dy) {
    for (int dx = -2; dx <= 2; ++dx) {
      const Shift v{centre.x + dx, centre.y + dy};
      if ((dx == 0 && dy == 0) || !lim.contains(v)) continue;
      const int cost = pair_.sad(kLevel, a, v);
      if (cost < best_cost) {
        best_cost = cost;
        best = v;
      }
    }
  }
  return {2 * best.x, 2 * best.y};
}

// What differs least at full size: what was found, or one of the displacements given.
Shift CoarseSearch::least(const SearchArea& a, Shift found) const {
  if (shifts_.empty()) return found;
  const ShiftLimits lim = pair_.limits(a, 0);
  Shift best = lim.clamp(found);
  int best_cost = pair_.sad(0, a, best);
  for (const Shift shift : shifts_) {
    if (!lim.contains(shift)) continue;
    const int cost = pair_.sad(0, a, shift);
    if (cost >= best_cost) continue;
    best_cost = cost;
    best = shift;
  }
  return best;
}

CoarseShifts CoarseSearch::search_superblock(int x, int y) const {
  const SearchArea superblock = pair_.area(x, y, kSuperblockSize);
  CoarseShifts found;
  if (pair_.is_static(superblock)) return found;
  const CoarseShifts quarter = search_quarter(superblock);
  found.superblock = least(superblock, refine_half(superblock, quarter.superblock, Shift{}));
  for (int i = 0; i < 4; ++i) {
    const int block_x = x + (i & 1) * kBlockSize;
    const int block_y = y + (i >> 1) * kBlockSize;
    if (block_x >= pair_.current.width(0) || block_y >= pair_.current.height(0)) continue;
    const SearchArea block = pair_.area(block_x, block_y, kBlockSize);
    found.block[i] = least(block, refine_half(block, quarter.block[i], quarter.superblock));
  }
  return found;
}

}  // namespace bsq
