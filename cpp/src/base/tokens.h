// What all folders share: sizes of tokens and superblocks, the version of the networks'
// arithmetic.
#pragma once

namespace bsq {

constexpr int kTokenSize = 8;         // luma samples per token and direction
constexpr int kSuperblockTokens = 4;  // tokens per superblock and direction
constexpr int kSuperblockSize = kTokenSize * kSuperblockTokens;  // luma samples

// A rectangle of superblocks, ends excluded, such as a tile.
struct SuperblockRect {
  int x_begin = 0;
  int y_begin = 0;
  int x_end = 0;
  int y_end = 0;

  friend bool operator==(const SuperblockRect&, const SuperblockRect&) = default;
};

// Of docs/numerics.md; model files and sequence headers name it.
constexpr int kNumericsVersion = 1;

}  // namespace bsq
