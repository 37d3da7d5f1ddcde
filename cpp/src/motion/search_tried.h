// Differences of a superblock's 8x8 sub-blocks under what was tried, each computed once.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

#include "motion/motion_field.h"

namespace bsq {

inline uint32_t motion_hash(Mv v) {
  return static_cast<uint32_t>(static_cast<uint16_t>(v.x)) * 0x9E3779B1U +
         static_cast<uint32_t>(static_cast<uint16_t>(v.y)) * 0x85EBCA77U;
}

// `Key`: a vector, or whatever motion_hash() knows. Remembers kLimit of them.
template <class Key, int kLimit>
class TriedDifferences {
 public:
  // Sides of the frame in luma samples.
  TriedDifferences(int width, int height)
      : subblocks_x_(width / kSubblockSize), subblocks_y_(height / kSubblockSize) {}

  // Forgets everything and turns to the superblock whose first sample is (x, y).
  void begin(int x, int y) {
    x_ = x;
    y_ = y;
    used_ = 0;
    ++epoch_;
  }

  // The difference of a square inside the superblock, cut off at the frame's border.
  // measure(x, y, count, uint16_t* costs) finds those of a sub-block, whose first sample is (x, y),
  // or of two side by side.
  template <class Measure>
  int of(const MotionSquare& square, const Key& key, const Measure& measure) {
    Tried& t = find(key);
    const unsigned wanted = subblocks_of(square);
    for (unsigned missing = wanted & ~t.known; missing != 0; missing &= missing - 1) {
      const int subblock = std::countr_zero(missing);
      // Squares begin at even sub-blocks, and so do pairs.
      const bool two = (missing >> subblock & 3U) == 3U && subblock % 2 == 0;
      measure(x_ + subblock % kSuperblockSubblocks * kSubblockSize,
              y_ + subblock / kSuperblockSubblocks * kSubblockSize, two ? 2 : 1,
              &t.cost[static_cast<size_t>(subblock)]);
      if (two) missing &= missing - 1;
    }
    t.known |= wanted;
    return sum(t, wanted);
  }

  // fn(const Key&, int difference) for all whose difference is known for the whole square.
  template <class Fn>
  void for_known(const MotionSquare& square, const Fn& fn) const {
    const unsigned wanted = subblocks_of(square);
    for (int i = 0; i < used_; ++i) {
      const Tried& t = tried_[static_cast<size_t>(i)];
      if ((t.known & wanted) == wanted) fn(t.key, sum(t, wanted));
    }
  }

 private:
  static constexpr int kSubblocks = kSuperblockSubblocks * kSuperblockSubblocks;
  static constexpr uint32_t kSlotBits = std::bit_width(unsigned{kLimit}) + 1;

  struct Tried {
    Key key;
    unsigned known;  // a bit per sub-block
    std::array<uint16_t, kSubblocks> cost;
  };
  struct Slot {
    uint32_t epoch = 0;
    uint32_t index = 0;
  };

  unsigned subblocks_of(const MotionSquare& square) const {
    const int columns = std::min(square.size, subblocks_x_ - square.x);
    const int rows = std::min(square.size, subblocks_y_ - square.y);
    const int first =
        (square.y % kSuperblockSubblocks) * kSuperblockSubblocks + square.x % kSuperblockSubblocks;
    const unsigned row = ((1U << columns) - 1) << first;
    unsigned all = 0;
    for (int i = 0; i < rows; ++i) all |= row << (kSuperblockSubblocks * i);
    return all;
  }

  static int sum(const Tried& t, unsigned subblocks) {
    int total = 0;
    for (; subblocks != 0; subblocks &= subblocks - 1) {
      total += t.cost[static_cast<size_t>(std::countr_zero(subblocks))];
    }
    return total;
  }

  Tried& find(const Key& key) {
    for (uint32_t i = motion_hash(key) >> (32 - kSlotBits);; ++i) {
      Slot& slot = slots_[i % slots_.size()];
      if (slot.epoch != epoch_) {
        const int index = std::min(used_, kLimit);
        Tried& t = tried_[static_cast<size_t>(index)];
        t.key = key;
        t.known = 0;
        if (index == kLimit) return t;
        slot = {epoch_, static_cast<uint32_t>(index)};
        ++used_;
        return t;
      }
      Tried& t = tried_[slot.index];
      if (t.key == key) return t;
    }
  }

  int subblocks_x_;
  int subblocks_y_;
  int x_ = 0;
  int y_ = 0;
  int used_ = 0;
  uint32_t epoch_ = 0;
  std::array<Tried, kLimit + 1> tried_;  // the last one is for what comes after the limit
  std::array<Slot, size_t{1} << kSlotBits> slots_{};
};

}  // namespace bsq
