// What all folders share: sizes of tokens and superblocks, the version of the networks'
// arithmetic.
#pragma once

namespace bsq {

constexpr int kTokenSize = 8;         // luma samples per token and direction
constexpr int kSuperblockTokens = 4;  // tokens per superblock and direction
constexpr int kSuperblockSize = kTokenSize * kSuperblockTokens;  // luma samples

// Of docs/numerics.md; model files and sequence headers name it.
constexpr int kNumericsVersion = 1;

}  // namespace bsq
