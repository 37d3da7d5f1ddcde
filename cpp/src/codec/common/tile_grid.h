// How a frame is cut into blocks, the parts that are entropy-coded on their own (normative).
//
// A token covers 8x8 luma samples, a window 4x4 tokens, both rounded up at the right and bottom
// edges of the frame. A block is a rectangle of whole windows. Frames of up to 921600 luma samples
// (1280x720) are one block. Larger ones are cut into c columns and r rows of blocks such that no
// block has more than 900 windows (921600 / 32 / 32):
//   - c * r is the smallest possible;
//   - then the larger side of the largest block, ceil(windows_x / c) by ceil(windows_y / r), is the
//     smallest multiple of its smaller side;
//   - then c is the smallest.
// Column i begins at window floor(i * windows_x / c), rows likewise.
//
// Example: 1920x1080 is 60x34 windows, 2040 in all. Three blocks suffice: 3 columns of 20x34 and 3
// rows of at most 60x12 do; 20x34 is closer to square, so c = 3 and r = 1.
#pragma once

#include <vector>

#include "base/tokens.h"

namespace bsq {

constexpr int kWindowSize = kTokenSize * kWindowTokens;
constexpr int kMaxFrameSize = 8192;              // luma samples, either way
constexpr int kMaxOneBlockSamples = 1280 * 720;  // luma samples of a frame that is one block
constexpr int kMaxBlockWindows = kMaxOneBlockSamples / (kWindowSize * kWindowSize);

// In windows.
struct BlockRect {
  int x = 0;
  int y = 0;
  int width = 0;
  int height = 0;
};

struct BlockGrid {
  int tokens_x = 0;
  int tokens_y = 0;
  int windows_x = 0;
  int windows_y = 0;
  int columns = 0;
  int rows = 0;
  std::vector<BlockRect> blocks;  // raster order
};

// Throws Error(BSQ_ERROR_ARGUMENT) unless width and height, in luma samples, are 1 .. 8192.
BlockGrid block_grid(int width, int height);

}  // namespace bsq
