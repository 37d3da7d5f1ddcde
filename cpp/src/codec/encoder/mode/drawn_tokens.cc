// Counts equal neighbours.
#include "codec/encoder/mode/drawn_tokens.h"

#include <algorithm>
#include <atomic>
#include <limits>

#include "base/tokens.h"

namespace bsq {
namespace {

// What is drawn is sharp, on a ground of one value: at least half of the luma samples of a token
// are equal, half of the 112 pairs of neighbours too, and others so many 8-bit values apart.
constexpr int kGround = kTokenSize * kTokenSize / 2;
constexpr int kSharpPairs = 50;
constexpr int kSharpRange = 48;
// At most so many tokens from those there may be others of more values.
constexpr int kNear = 2;
constexpr int kDensePairs = 12;
constexpr int kDenseRange = 12;
constexpr int kPlainPairs = 48;

struct Look {
  int equal = 0;   // pairs of neighbours
  int range = 0;   // in 8-bit values
  int ground = 0;  // samples of the value that most have, if those are more than half
};

Look look_at(const ConstPlaneView& luma, int bit_depth, int x, int y) {
  Look look;
  uint16_t low = std::numeric_limits<uint16_t>::max();
  uint16_t high = 0;
  uint16_t most = 0;
  int votes = 0;
  const auto row_of = [&](int i) {
    return luma.row(y * kTokenSize + i) + ptrdiff_t{x} * kTokenSize;
  };
  for (int i = 0; i < kTokenSize; ++i) {
    const uint16_t* row = row_of(i);
    for (int j = 0; j < kTokenSize; ++j) {
      low = std::min(low, row[j]);
      high = std::max(high, row[j]);
      if (j > 0) look.equal += row[j] == row[j - 1] ? 1 : 0;
      if (i > 0) look.equal += row[j] == row[j - luma.stride] ? 1 : 0;
      if (votes == 0) most = row[j];
      votes += row[j] == most ? 1 : -1;
    }
  }
  look.range = (high - low) >> (bit_depth - 8);
  if (look.equal < kSharpPairs || look.range < kSharpRange) return look;
  for (int i = 0; i < kTokenSize; ++i) {
    look.ground += static_cast<int>(std::count(row_of(i), row_of(i) + kTokenSize, most));
  }
  return look;
}

DrawnTokens::Kind kind_of(const Look& look) {
  if (look.ground >= kGround) return DrawnTokens::Kind::kDrawn;
  if (look.range < kDenseRange) {
    return look.equal >= kPlainPairs ? DrawnTokens::Kind::kPlain : DrawnTokens::Kind::kOther;
  }
  return look.equal >= kDensePairs ? DrawnTokens::Kind::kDense : DrawnTokens::Kind::kOther;
}

}  // namespace

void DrawnTokens::find(const Frame& source, ThreadPool& pool) {
  const ConstPlaneView luma = source.planes[0].view();
  width_ = luma.width / kTokenSize;
  height_ = luma.height / kTokenSize;
  const auto columns = static_cast<size_t>(width_);
  kinds_.resize(columns * static_cast<size_t>(height_));
  std::atomic<size_t> drawn = 0;
  pool.parallel_rows(static_cast<size_t>(height_), [&](size_t y) {
    size_t found = 0;
    for (size_t x = 0; x < columns; ++x) {
      const Kind kind =
          kind_of(look_at(luma, source.bit_depth, static_cast<int>(x), static_cast<int>(y)));
      kinds_[y * columns + x] = kind;
      found += kind == Kind::kDrawn ? 1 : 0;
    }
    drawn += found;
  });
  is_screen_ = drawn > 0 && drawn >= kinds_.size() / kScreenPart;
  if (is_screen_) settle_dense();
}

// Dense tokens near drawn ones are drawn too, others are not.
void DrawnTokens::settle_dense() {
  const std::vector<Kind> before = kinds_;
  for (int y = 0; y < height_; ++y) {
    for (int x = 0; x < width_; ++x) {
      Kind& kind = kinds_[at(x, y)];
      if (kind != Kind::kDense) continue;
      kind = Kind::kOther;
      for (int j = std::max(0, y - kNear); j <= std::min(height_ - 1, y + kNear); ++j) {
        for (int i = std::max(0, x - kNear); i <= std::min(width_ - 1, x + kNear); ++i) {
          if (before[at(i, j)] == Kind::kDrawn) kind = Kind::kDrawn;
        }
      }
    }
  }
}

}  // namespace bsq
