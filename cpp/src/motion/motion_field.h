// Motion vectors of a frame, as the codestream carries them, and the prediction of a vector.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/tokens.h"

namespace bsq {

inline constexpr int kBlockSize = 16;                                         // luma samples
inline constexpr int kSubblockSize = 8;                                       // luma samples
inline constexpr int kSuperblockSubblocks = kSuperblockSize / kSubblockSize;  // along a side
inline constexpr int kBlockSubblocks = kBlockSize / kSubblockSize;
inline constexpr int kMvMin = -2048;  // quarter luma samples
inline constexpr int kMvMax = 2047;

// Displacement in quarter luma samples: the prediction of sample p is the reference at p + v / 4.
struct Mv {
  int16_t x = 0;
  int16_t y = 0;

  friend bool operator==(const Mv&, const Mv&) = default;
};

// A square with one vector, in 8x8 sub-blocks: its first sub-block and its side, that of a
// superblock (4), of a block (2) or 1.
struct MotionSquare {
  int x = 0;
  int y = 0;
  int size = kSuperblockSubblocks;
};

// Directions: the references that a square of a B frame is predicted from, a bit each.
inline constexpr uint8_t kFirstReference = 1;
inline constexpr uint8_t kSecondReference = 2;
inline constexpr uint8_t kBothReferences = 3;

// 0 for a superblock, 1 for a block, 2 for a sub-block.
inline size_t size_class(const MotionSquare& s) {
  return s.size == kSuperblockSubblocks ? 0U : s.size == kBlockSubblocks ? 1U : 2U;
}

struct MotionField {
  int superblocks_x = 0;
  int superblocks_y = 0;
  int blocks_x = 0;
  int blocks_y = 0;
  int subblocks_x = 0;
  int subblocks_y = 0;
  // Per superblock in raster order: 0, or 1 if its blocks are coded alone, and then bit 1 + i is
  // set if so are the sub-blocks of block i.
  std::vector<uint8_t> split;
  // Per 8x8 sub-block in raster order, into the first reference; all sub-blocks of a square equal.
  std::vector<Mv> mv;
  // Likewise of a B frame, into the second reference, and a direction; empty in a P frame.
  std::vector<Mv> second;
  std::vector<uint8_t> direction;

  MotionField() = default;
  // One unsplit superblock after the other with zero vectors, for a luma plane of this size, of
  // which the sides are multiples of 8.
  MotionField(int width, int height) { reset(width, height); }
  void reset(int width, int height) {
    superblocks_x = (width + kSuperblockSize - 1) / kSuperblockSize;
    superblocks_y = (height + kSuperblockSize - 1) / kSuperblockSize;
    blocks_x = (width + kBlockSize - 1) / kBlockSize;
    blocks_y = (height + kBlockSize - 1) / kBlockSize;
    subblocks_x = (width + kSubblockSize - 1) / kSubblockSize;
    subblocks_y = (height + kSubblockSize - 1) / kSubblockSize;
    split.assign(static_cast<size_t>(superblocks_x) * static_cast<size_t>(superblocks_y), 0);
    mv.assign(static_cast<size_t>(subblocks_x) * static_cast<size_t>(subblocks_y), Mv{});
    second.clear();
    direction.clear();
  }
  bool is_b() const { return !direction.empty(); }
  // Makes the field that of a B frame, or of a P frame; keeps the vectors into the first reference.
  void set_b(bool is_b) {
    second.resize(is_b ? mv.size() : 0);
    direction.resize(is_b ? mv.size() : 0, kFirstReference);
  }
  // Into the first reference, or the second.
  const std::vector<Mv>& vectors(size_t reference) const { return reference == 0 ? mv : second; }

  uint8_t& split_at(int sx, int sy) { return split[superblock_index(sx, sy)]; }
  uint8_t split_at(int sx, int sy) const { return split[superblock_index(sx, sy)]; }
  // Whether the block that holds the sub-block is split into its sub-blocks.
  bool subblock_split_at(int cx, int cy) const {
    const int block = (cy / kBlockSubblocks & 1) * 2 + (cx / kBlockSubblocks & 1);
    return ((split_at(cx / kSuperblockSubblocks, cy / kSuperblockSubblocks) >> (1 + block)) & 1) !=
           0;
  }
  // Notes that a block is split into its sub-blocks; its superblock is split already.
  void split_block(const MotionSquare& block) {
    const int i = (block.y / kBlockSubblocks & 1) * 2 + (block.x / kBlockSubblocks & 1);
    uint8_t& how = split_at(block.x / kSuperblockSubblocks, block.y / kSuperblockSubblocks);
    how = static_cast<uint8_t>(how | 2 << i);
  }
  size_t subblock_index(int cx, int cy) const {
    return static_cast<size_t>(cy) * static_cast<size_t>(subblocks_x) + static_cast<size_t>(cx);
  }
  Mv& mv_at(int cx, int cy) { return mv[subblock_index(cx, cy)]; }
  const Mv& mv_at(int cx, int cy) const { return mv[subblock_index(cx, cy)]; }

  // fn(cx, cy) for the sub-blocks of the square that exist.
  template <class Fn>
  void for_subblocks(const MotionSquare& s, const Fn& fn) const {
    for (int cy = s.y; cy < std::min(s.y + s.size, subblocks_y); ++cy) {
      for (int cx = s.x; cx < std::min(s.x + s.size, subblocks_x); ++cx) fn(cx, cy);
    }
  }
  // Whether two sub-blocks have the same vectors, used or not, and direction.
  bool same_motion(size_t a, size_t b) const {
    return mv[a] == mv[b] && (!is_b() || (second[a] == second[b] && direction[a] == direction[b]));
  }
  // Whether two sub-blocks are predicted alike: equal in direction and in vectors that are used.
  bool same_prediction(size_t a, size_t b) const {
    if (!is_b()) return mv[a] == mv[b];
    const uint8_t used = direction[a];
    return used == direction[b] && ((used & kFirstReference) == 0 || mv[a] == mv[b]) &&
           ((used & kSecondReference) == 0 || second[a] == second[b]);
  }
  // Gives all sub-blocks of the square this vector.
  void set(const MotionSquare& s, Mv v) {
    for_subblocks(s, [&](int cx, int cy) { mv_at(cx, cy) = v; });
  }

  // fn(const MotionSquare&) for the squares of a superblock, in coding order.
  template <class Fn>
  void for_squares(int sx, int sy, const Fn& fn) const {
    const MotionSquare superblock{kSuperblockSubblocks * sx, kSuperblockSubblocks * sy,
                                  kSuperblockSubblocks};
    const int how = split_at(sx, sy);
    if (how == 0) {
      fn(superblock);
      return;
    }
    for_quarters(superblock, [&](const MotionSquare& block, int i) {
      if ((how >> (1 + i) & 1) == 0) {
        fn(block);
      } else {
        for_quarters(block, [&](const MotionSquare& subblock, int) { fn(subblock); });
      }
    });
  }
  // fn(const MotionSquare&, int index) for the quarters of a square that exist, in raster order.
  template <class Fn>
  void for_quarters(const MotionSquare& s, const Fn& fn) const {
    const int half = s.size / 2;
    for (int i = 0; i < 4; ++i) {
      const MotionSquare quarter{s.x + (i & 1) * half, s.y + (i >> 1) * half, half};
      if (quarter.x < subblocks_x && quarter.y < subblocks_y) fn(quarter, i);
    }
  }

 private:
  size_t superblock_index(int sx, int sy) const {
    return static_cast<size_t>(sy) * static_cast<size_t>(superblocks_x) + static_cast<size_t>(sx);
  }
};

// The field of a plane of the size of `out` from that of a plane 2^narrower times as wide and
// equally high: docs/bitstream.md section 4.5.
void take_motion(const MotionField& from, int narrower, MotionField& out);

// A tile as large as the frame.
inline SuperblockRect whole_frame(const MotionField& field) {
  return {0, 0, field.superblocks_x, field.superblocks_y};
}

// The sub-blocks A, B and C of docs/bitstream.md section 4.2, as indices, or -1 where there is
// none.
struct NeighbourPlaces {
  std::array<int, 3> at{-1, -1, -1};
};

// Only sub-blocks that precede the square in coding order inside `tile`, so encoder and decoder may
// call it with the rest still unset.
NeighbourPlaces neighbour_places(const MotionField& field, const SuperblockRect& tile,
                                 const MotionSquare& square);

// Their vectors, where they are available.
struct MotionNeighbours {
  Mv mv[3];
  bool has[3] = {};

  MotionNeighbours() = default;
  MotionNeighbours(const NeighbourPlaces& places, const std::vector<Mv>& vectors);
  Mv median() const;
};

inline MotionNeighbours motion_neighbours(const MotionField& field, const SuperblockRect& tile,
                                          const MotionSquare& square) {
  return {neighbour_places(field, tile, square), field.mv};
}

// The predictor of the square's vector; same rules.
inline Mv predict_mv(const MotionField& field, const SuperblockRect& tile,
                     const MotionSquare& square) {
  return motion_neighbours(field, tile, square).median();
}

}  // namespace bsq
