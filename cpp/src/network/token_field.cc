// Tokens of a frame: which are active, what they hold, and the vectors that networks read.
#include "network/token_field.h"

#include <algorithm>
#include <string>

#include "base/status.h"

namespace bsq {
namespace {

constexpr int kMaxTokens = 1024;  // 8192 luma samples
constexpr size_t kTokensPerTask = 64;

}  // namespace

ActiveTokens::ActiveTokens(int height, int width) : height_(height), width_(width) {
  if (height < 1 || height > kMaxTokens || width < 1 || width > kMaxTokens) {
    throw Error(BSQ_ERROR_ARGUMENT, "a frame of " + std::to_string(width) + " x " +
                                        std::to_string(height) + " tokens; the limit is " +
                                        std::to_string(kMaxTokens));
  }
  index_.assign(static_cast<size_t>(height) * static_cast<size_t>(width), -1);
  tokens_.reserve(index_.size());
  runs_.reserve(max_runs(height, width));
}

void ActiveTokens::set(std::span<const uint8_t> superblocks, std::span<const uint8_t> left_out) {
  const auto count = static_cast<size_t>(superblocks_y()) * static_cast<size_t>(superblocks_x());
  if (superblocks.size() != count) {
    throw Error(BSQ_ERROR_ARGUMENT, std::to_string(superblocks.size()) + " superblock flags for " +
                                        std::to_string(count) + " superblocks");
  }
  rebuild([&](int y, int x, size_t token) {
    const auto row =
        static_cast<size_t>(y / kSuperblockTokens) * static_cast<size_t>(superblocks_x());
    return superblocks[row + static_cast<size_t>(x / kSuperblockTokens)] != 0 &&
           (left_out.empty() || left_out[token] == 0);
  });
}

void ActiveTokens::set_all() {
  rebuild([](int, int, size_t) { return true; });
}

template <class Active>
void ActiveTokens::rebuild(const Active& is_active) {
  tokens_.clear();
  runs_.clear();
  std::fill(index_.begin(), index_.end(), -1);
  for (int y = 0; y < height_; ++y) {
    const auto row = static_cast<size_t>(y) * static_cast<size_t>(width_);
    bool open = false;  // the token to the left belongs to the last run
    for (int x = 0; x < width_; ++x) {
      const size_t at = row + static_cast<size_t>(x);
      if (!is_active(y, x, at)) {
        open = false;
        continue;
      }
      const auto token = static_cast<int32_t>(tokens_.size());
      const auto y16 = static_cast<int16_t>(y);
      const auto x16 = static_cast<int16_t>(x);
      if (!open) runs_.push_back({token, 0, y16, x16});
      open = true;
      ++runs_.back().count;
      index_[at] = token;
      tokens_.push_back({y16, x16});
    }
  }
}

void token_vector(const TokenLayout& layout, int n, const uint32_t* bits, int8_t* out) {
  std::fill_n(out, layout.width(), int8_t{0});
  for (int s = 0; s < n; ++s) {
    for (int i = 0; i < kStageBits; ++i) {
      out[kStageBits * s + i] = ((bits[s] >> i) & 1U) != 0 ? kOne : int8_t{0};
    }
    out[layout.bits() + s] = kOne;
  }
}

void token_vectors(const TokenLayout& layout, const TokenField& field, const ActiveTokens& active,
                   ThreadPool& pool, int8_t* out) {
  const auto width = static_cast<size_t>(layout.width());
  const auto fill = [&](size_t begin, size_t end) {
    for (size_t t = begin; t < end; ++t) {
      const TokenPosition token = active.tokens()[t];
      const size_t at = field.at(token.y, token.x);
      token_vector(layout, field.stages[at], field.words(at), out + width * t);
    }
  };
  const auto count = static_cast<size_t>(active.count());
  if (count <= kTokensPerTask) return fill(0, count);
  pool.parallel_ranges(count, [&](size_t begin, size_t end, int) { fill(begin, end); });
}

}  // namespace bsq
