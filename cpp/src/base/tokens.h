// Sizes that every room agrees on: tokens and windows.
#pragma once

namespace bsq {

constexpr int kTokenSize = 8;     // luma samples per token and direction
constexpr int kWindowTokens = 4;  // tokens per window and direction

}  // namespace bsq
