// Cached SATD of 8x8 sub-blocks under vectors.
#include "motion/search_subblocks.h"

#include <algorithm>
#include <bit>

#include "motion/search_pixel.h"

namespace bsq {

void SubblockCosts::begin(int x, int y) {
  x_ = x;
  y_ = y;
  used_ = 0;
  ++epoch_;
}

unsigned SubblockCosts::subblocks_of(const MotionSquare& square) const {
  const int columns = std::min(square.size, current_.width(0) / kSubblockSize - square.x);
  const int rows = std::min(square.size, current_.height(0) / kSubblockSize - square.y);
  const int first =
      (square.y % kSuperblockSubblocks) * kSuperblockSubblocks + square.x % kSuperblockSubblocks;
  const unsigned row = ((1U << columns) - 1) << first;
  unsigned all = 0;
  for (int i = 0; i < rows; ++i) all |= row << (kSuperblockSubblocks * i);
  return all;
}

int SubblockCosts::sum(const Tried& t, unsigned subblocks) {
  int total = 0;
  for (; subblocks != 0; subblocks &= subblocks - 1) {
    total += t.cost[static_cast<size_t>(std::countr_zero(subblocks))];
  }
  return total;
}

SubblockCosts::Tried& SubblockCosts::find(Mv v) {
  const uint32_t key = static_cast<uint32_t>(static_cast<uint16_t>(v.x)) * 0x9E3779B1U +
                       static_cast<uint32_t>(static_cast<uint16_t>(v.y)) * 0x85EBCA77U;
  for (uint32_t i = key >> 21;; ++i) {
    Slot& slot = slots_[i % kSlots];
    if (slot.epoch != epoch_) {
      const int index = std::min(used_, kMaxTried);
      Tried& t = tried_[static_cast<size_t>(index)];
      t.mv = v;
      t.known = 0;
      if (index == kMaxTried) return t;
      slot = {epoch_, static_cast<uint32_t>(index)};
      ++used_;
      return t;
    }
    Tried& t = tried_[slot.index];
    if (t.mv == v) return t;
  }
}

int SubblockCosts::of(const MotionSquare& square, Mv v) {
  Tried& t = find(v);
  const unsigned wanted = subblocks_of(square);
  for (unsigned missing = wanted & ~t.known; missing != 0; missing &= missing - 1) {
    const int subblock = std::countr_zero(missing);
    const int x = x_ + subblock % kSuperblockSubblocks * kSubblockSize;
    const int y = y_ + subblock / kSuperblockSubblocks * kSubblockSize;
    uint16_t* cost = &t.cost[static_cast<size_t>(subblock)];
    const uint8_t* at = current_.at(0, x, y);
    const uint8_t* from = reference_.at(x, y, v);
    // Squares begin at even sub-blocks, and so do pairs.
    if ((missing >> subblock & 3U) == 3U && subblock % 2 == 0) {
      kernels_.satd_pair(at, current_.stride(0), from, reference_.stride(), cost);
      missing &= missing - 1;
    } else {
      *cost = static_cast<uint16_t>(satd_8x8(at, current_.stride(0), from, reference_.stride()));
    }
  }
  t.known |= wanted;
  return sum(t, wanted);
}

}  // namespace bsq
