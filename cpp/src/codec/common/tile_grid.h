// How a frame is cut into tiles, the parts that are entropy-coded on their own (normative).
//
// A token covers 8x8 luma samples, a superblock 4x4 tokens, both rounded up at the right and bottom
// edges of the frame. A tile is a rectangle of whole superblocks. Frames of up to 921600 luma
// samples (1280x720) are one tile. Larger ones are cut into c columns and r rows of tiles such that
// no tile has more than 900 superblocks (921600 / 32 / 32):
//   - c * r is the smallest possible;
//   - then the larger side of the largest tile, ceil(superblocks_x / c) by ceil(superblocks_y / r),
//   is the
//     smallest multiple of its smaller side;
//   - then c is the smallest.
// Column i begins at superblock floor(i * superblocks_x / c), rows likewise.
//
// Example: 1920x1080 is 60x34 superblocks, 2040 in all. Three tiles suffice: 3 columns of 20x34 and
// 3 rows of at most 60x12 do; 20x34 is closer to square, so c = 3 and r = 1.
#pragma once

#include <vector>

#include "base/tokens.h"

namespace bsq {

constexpr int kMaxSingleTileSamples = 1280 * 720;  // luma samples of a frame that is one tile
constexpr int kMaxTileSuperblocks = kMaxSingleTileSamples / (kSuperblockSize * kSuperblockSize);

struct TileGrid {
  int tokens_x = 0;
  int tokens_y = 0;
  int superblocks_x = 0;
  int superblocks_y = 0;
  int columns = 0;
  int rows = 0;
  std::vector<SuperblockRect> tiles;  // raster order
};

// Throws Error(BSQ_ERROR_ARGUMENT) unless width and height, in luma samples, are 1 .. 8192.
TileGrid tile_grid(int width, int height);

}  // namespace bsq
