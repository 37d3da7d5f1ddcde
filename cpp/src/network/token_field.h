// Tokens of a frame: which are active, what they hold, and the vectors that networks read.
// docs/numerics.md sections 3 and 5.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "base/tokens.h"

namespace bsq {

constexpr int kMaxStages = 8;         // at most this many stages per token, of any model
constexpr int kStageBits = 32;        // bits per stage
constexpr int kSubgroups = 4;         // of eight bits each, per stage
constexpr int kGroups = 3;            // of tokens, in the order of coding
constexpr int kMaxTokenVector = 264;  // s8
constexpr int kSideVector = 104;      // s16
constexpr int kSampleVector = 96;     // s16: 64 luma, 16 + 16 chroma values
constexpr int kSubgroupBits = kStageBits / kSubgroups;
constexpr int8_t kOne = 64;  // a bit that is 1, or a stage that is there, in a token vector

// What a model's tokens look like to its networks.
struct TokenLayout {
  int stages = 0;  // at most, per token

  // s8 values of a token vector.
  constexpr int width() const { return (stages * (kStageBits + 1) + 7) / 8 * 8; }
  constexpr int bits() const { return stages * kStageBits; }
  constexpr int heads() const { return stages * kSubgroups; }
  // Stage flags, three contexts each.
  constexpr int flags() const { return stages * 3; }
};

struct TokenPosition {
  int16_t y;
  int16_t x;
};

// A rectangle of tokens.
struct TokenRect {
  int y = 0;
  int x = 0;
  int height = 0;
  int width = 0;
};

// Group of a token in coding order: 0 even row and column, 1 odd row and column, 2 the others.
constexpr int token_group(int y, int x) {
  if (((y ^ x) & 1) != 0) return 2;
  return (y & 1) != 0 ? 1 : 0;
}

// Runs of neighbours that the active tokens of a frame of that size in tokens can make.
constexpr size_t max_runs(int height, int width) {
  return static_cast<size_t>(height) * static_cast<size_t>((width + 1) / 2);
}

// The active tokens of one layer, those of active superblocks that are not sample-coded, listed in
// raster order over the whole frame. Every array that goes into or comes out of a network has one
// row per entry of this list.
class ActiveTokens {
 public:
  // A run of neighbours in one token row: `first` is the index of its first token in the list.
  struct Run {
    int32_t first;
    int32_t count;
    int16_t y;
    int16_t x;
  };

  ActiveTokens() = default;
  // Frame size in tokens; no token is active yet. Throws Error(BSQ_ERROR_ARGUMENT) unless both
  // are in 1..1024.
  ActiveTokens(int height, int width);

  // One flag per superblock in raster order, not 0 for active ones; one per token, not 0 for those
  // that are left out, or none.
  void set(std::span<const uint8_t> superblocks, std::span<const uint8_t> left_out = {});
  void set_all();

  int height() const { return height_; }
  int width() const { return width_; }
  int superblocks_y() const { return (height_ + kSuperblockTokens - 1) / kSuperblockTokens; }
  int superblocks_x() const { return (width_ + kSuperblockTokens - 1) / kSuperblockTokens; }

  int count() const { return static_cast<int>(tokens_.size()); }
  const std::vector<TokenPosition>& tokens() const { return tokens_; }
  const std::vector<Run>& runs() const { return runs_; }
  // Index in the list, or -1 where the token is not active.
  int index(int y, int x) const {
    return index_[static_cast<size_t>(y) * static_cast<size_t>(width_) + static_cast<size_t>(x)];
  }

 private:
  template <class Active>
  void rebuild(const Active& is_active);

  int height_ = 0;
  int width_ = 0;
  std::vector<TokenPosition> tokens_;
  std::vector<Run> runs_;
  std::vector<int32_t> index_;  // [height, width]
};

// What the tokens of one frame hold: number of stages and their bits. Bits of stages that are
// not coded have no meaning.
struct TokenField {
  int height = 0;
  int width = 0;
  int max_stages = 0;           // S of the model
  std::vector<uint8_t> stages;  // [height, width], 0..S
  std::vector<uint32_t> bits;   // [height, width, S], bit i of a word is b[s][i]

  TokenField() = default;
  TokenField(int h, int w, int s)
      : height(h),
        width(w),
        max_stages(s),
        stages(static_cast<size_t>(h) * static_cast<size_t>(w)),
        bits(stages.size() * static_cast<size_t>(s)) {}

  size_t at(int y, int x) const {
    return static_cast<size_t>(y) * static_cast<size_t>(width) + static_cast<size_t>(x);
  }
  // The words of the token with that index in `stages`.
  uint32_t* words(size_t token) { return bits.data() + token * static_cast<size_t>(max_stages); }
  const uint32_t* words(size_t token) const {
    return bits.data() + token * static_cast<size_t>(max_stages);
  }
  // All tokens with no stage, as before the first layer of a keyframe.
  void clear() { stages.assign(stages.size(), 0); }
};

// The token vector of one token: layout.width() values from n words of bits.
void token_vector(const TokenLayout& layout, int n, const uint32_t* bits, int8_t* out);

// Token vectors [active.count(), layout.width()] of the active tokens. `field` has the frame's
// size.
void token_vectors(const TokenLayout& layout, const TokenField& field, const ActiveTokens& active,
                   ThreadPool& pool, int8_t* out);

}  // namespace bsq
