// The choice of the block grid.
#include "codec/common/tile_grid.h"

#include <algorithm>
#include <string>

#include "base/status.h"

namespace bsq {
namespace {

static_assert(kMaxBlockWindows == 900);

int divide_up(int a, int b) { return (a + b - 1) / b; }

struct Cut {
  int columns = 1;
  int rows = 1;
  int longer = 1;  // sides of the largest block, in windows
  int shorter = 1;
};

// Fewer blocks, then a largest block closer to square. Products stay below 2^17.
bool better(const Cut& a, const Cut& b) {
  const int blocks_a = a.columns * a.rows;
  const int blocks_b = b.columns * b.rows;
  if (blocks_a != blocks_b) return blocks_a < blocks_b;
  return a.longer * b.shorter < b.longer * a.shorter;
}

Cut choose_cut(int windows_x, int windows_y) {
  Cut best;
  best.columns = windows_x;
  best.rows = windows_y;
  // Columns rise, and an equal cut does not replace an earlier one: ties go to fewer columns.
  for (int columns = 1; columns <= windows_x; ++columns) {
    const int width = divide_up(windows_x, columns);
    // The fewest rows that keep the largest block, ceil by ceil, within the limit.
    const int tallest = std::min(kMaxBlockWindows / width, windows_y);
    const int rows = divide_up(windows_y, tallest);
    const int height = divide_up(windows_y, rows);
    const Cut cut{columns, rows, std::max(width, height), std::min(width, height)};
    if (columns == 1 || better(cut, best)) best = cut;
  }
  return best;
}

}  // namespace

BlockGrid block_grid(int width, int height) {
  if (width < 1 || height < 1 || width > kMaxFrameSize || height > kMaxFrameSize) {
    throw Error(BSQ_ERROR_ARGUMENT, "the frame size is " + std::to_string(width) + "x" +
                                        std::to_string(height) +
                                        ", it must be from 1x1 to 8192x8192");
  }
  BlockGrid grid;
  grid.tokens_x = divide_up(width, kTokenSize);
  grid.tokens_y = divide_up(height, kTokenSize);
  grid.windows_x = divide_up(grid.tokens_x, kWindowTokens);
  grid.windows_y = divide_up(grid.tokens_y, kWindowTokens);
  const Cut cut =
      width * height <= kMaxOneBlockSamples ? Cut() : choose_cut(grid.windows_x, grid.windows_y);
  grid.columns = cut.columns;
  grid.rows = cut.rows;
  grid.blocks.reserve(static_cast<size_t>(cut.columns) * static_cast<size_t>(cut.rows));
  for (int r = 0; r < cut.rows; ++r) {
    const int y0 = r * grid.windows_y / cut.rows;
    const int y1 = (r + 1) * grid.windows_y / cut.rows;
    for (int c = 0; c < cut.columns; ++c) {
      const int x0 = c * grid.windows_x / cut.columns;
      const int x1 = (c + 1) * grid.windows_x / cut.columns;
      grid.blocks.push_back({x0, y0, x1 - x0, y1 - y0});
    }
  }
  return grid;
}

}  // namespace bsq
