// What every room agrees on: sizes of tokens and windows, the version of the networks' arithmetic.
#pragma once

namespace bsq {

constexpr int kTokenSize = 8;     // luma samples per token and direction
constexpr int kWindowTokens = 4;  // tokens per window and direction

// Of docs/numerics.md; model files and sequence headers name it.
constexpr int kNumericsVersion = 1;

}  // namespace bsq
