// The choice of the tile grid.
#include "codec/common/tile_grid.h"

#include <algorithm>
#include <string>

#include "base/status.h"
#include "bitstream/limits.h"

namespace bsq {
namespace {

static_assert(kMaxTileSuperblocks == 900);

int divide_up(int a, int b) { return (a + b - 1) / b; }

struct Cut {
  int columns = 1;
  int rows = 1;
  int longer = 1;  // sides of the largest tile, in superblocks
  int shorter = 1;
};

// Fewer tiles, then a largest tile closer to square. Products stay below 2^17.
bool better(const Cut& a, const Cut& b) {
  const int tiles_a = a.columns * a.rows;
  const int tiles_b = b.columns * b.rows;
  if (tiles_a != tiles_b) return tiles_a < tiles_b;
  return a.longer * b.shorter < b.longer * a.shorter;
}

Cut choose_cut(int superblocks_x, int superblocks_y) {
  Cut best;
  best.columns = superblocks_x;
  best.rows = superblocks_y;
  // Columns rise, and an equal cut does not replace an earlier one: ties go to fewer columns.
  for (int columns = 1; columns <= superblocks_x; ++columns) {
    const int width = divide_up(superblocks_x, columns);
    // The fewest rows that keep the largest tile, ceil by ceil, within the limit.
    const int tallest = std::min(kMaxTileSuperblocks / width, superblocks_y);
    const int rows = divide_up(superblocks_y, tallest);
    const int height = divide_up(superblocks_y, rows);
    const Cut cut{columns, rows, std::max(width, height), std::min(width, height)};
    if (columns == 1 || better(cut, best)) best = cut;
  }
  return best;
}

}  // namespace

TileGrid tile_grid(int width, int height) {
  if (width < 1 || height < 1 || width > kMaxFrameSide || height > kMaxFrameSide) {
    throw Error(BSQ_ERROR_ARGUMENT, "the frame size is " + std::to_string(width) + "x" +
                                        std::to_string(height) +
                                        ", it must be from 1x1 to 8192x8192");
  }
  TileGrid grid;
  grid.tokens_x = divide_up(width, kTokenSize);
  grid.tokens_y = divide_up(height, kTokenSize);
  grid.superblocks_x = divide_up(grid.tokens_x, kSuperblockTokens);
  grid.superblocks_y = divide_up(grid.tokens_y, kSuperblockTokens);
  const Cut cut = width * height <= kMaxSingleTileSamples
                      ? Cut()
                      : choose_cut(grid.superblocks_x, grid.superblocks_y);
  grid.columns = cut.columns;
  grid.rows = cut.rows;
  grid.tiles.reserve(static_cast<size_t>(cut.columns) * static_cast<size_t>(cut.rows));
  for (int r = 0; r < cut.rows; ++r) {
    const int y0 = r * grid.superblocks_y / cut.rows;
    const int y1 = (r + 1) * grid.superblocks_y / cut.rows;
    for (int c = 0; c < cut.columns; ++c) {
      const int x0 = c * grid.superblocks_x / cut.columns;
      const int x1 = (c + 1) * grid.superblocks_x / cut.columns;
      grid.tiles.push_back({x0, y0, x1, y1});
    }
  }
  return grid;
}

}  // namespace bsq
