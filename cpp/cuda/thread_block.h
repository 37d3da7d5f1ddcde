// How kernels are written, and the emulation of one thread block on the host.
//
// A kernel is a struct of parameters with
//
//   static constexpr int kThreads;       threads of a block, a multiple of 32
//
// and one of two kinds of programs. Where every thread works alone, on one item:
//
//   constexpr int64_t items() const;     how many there are
//   BSQ_DEVICE void item(int64_t i) const;
//
// Where the threads of a block share memory, or a block is more than its threads:
//
//   struct Shared {};                    memory of a block
//   struct Local {};                     memory of a thread, which lives through the block
//   int64_t blocks() const;              of a launch
//   template <class Block> BSQ_DEVICE void run(Block& block) const;
//
// run() is the program of a whole block: calls of
//
//   block.each(fn)         fn(thread, local) in every thread, then a barrier
//   block.each_apart(fn)   the same without a barrier: for steps that write nothing that another
//                          thread reads before the next barrier
//   block.mma(fn)          fn(local) gives the fragments of a matrix product that the 32 threads of
//                          every warp make together (mma.sync m16n8k32)
//   block.butterfly(distance, awake, fn)
//                          fn(local) points at values; of two threads of a warp `distance` apart
//                          the lower gets their sums, the upper its values taken from the lower's.
//                          awake(local), the same in all threads of a warp, says whether it takes
//                          part. Three distances make a Hadamard transform over eight threads, and
//                          leave in the first of them the sum of all.
//   block.least(fn)        fn(local) points at values, which become the least of their warp
//
// and control flow in between that is the same for all threads. On the device fn runs in the thread
// at hand (device_block.cuh); here it runs for one thread after the other. Blocks of one launch do
// not depend on each other.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "cuda/arith.h"

namespace bsq::cuda {

constexpr int kWarp = 32;

// A kernel whose threads take one item each.
template <class Kernel>
concept ItemKernel = requires(const Kernel& kernel) { kernel.item(kernel.items()); };

// Blocks of a launch.
template <class Kernel>
int64_t blocks_of(const Kernel& kernel) {
  if constexpr (ItemKernel<Kernel>) {
    return (kernel.items() + Kernel::kThreads - 1) / Kernel::kThreads;
  } else {
    return kernel.blocks();
  }
}

// One thread's part of a product of 16x32 by 32x8 bytes, added to 16x8 sums; the layout is that of
// the PTX manual for mma.m16n8k32.
struct Fragments {
  int32_t* sums;      // 4
  const uint32_t* a;  // 4 words of s8, or of u8 where kUnsigned is set
  const uint32_t* b;  // 2 words of s8
};

// The product of one warp, from the fragments of its 32 threads.
template <bool kUnsigned>
void emulate_mma(const std::array<Fragments, kWarp>& warp) {
  int8_t a[16][32];
  int8_t b[8][32];
  for (int lane = 0; lane < kWarp; ++lane) {
    const int group = lane / 4;
    const int k = lane % 4 * 4;
    const Fragments& f = warp[static_cast<size_t>(lane)];
    std::memcpy(&a[group][k], &f.a[0], 4);
    std::memcpy(&a[group + 8][k], &f.a[1], 4);
    std::memcpy(&a[group][k + 16], &f.a[2], 4);
    std::memcpy(&a[group + 8][k + 16], &f.a[3], 4);
    std::memcpy(&b[group][k], &f.b[0], 4);
    std::memcpy(&b[group][k + 16], &f.b[1], 4);
  }
  for (int lane = 0; lane < kWarp; ++lane) {
    for (int i = 0; i < 4; ++i) {
      const int row = lane / 4 + (i < 2 ? 0 : 8);
      const int column = lane % 4 * 2 + i % 2;
      // Sums wrap around on the device.
      auto sum = static_cast<uint32_t>(warp[static_cast<size_t>(lane)].sums[i]);
      for (int k = 0; k < 32; ++k) {
        const int value = kUnsigned ? static_cast<uint8_t>(a[row][k]) : a[row][k];
        sum += static_cast<uint32_t>(value * b[column][k]);
      }
      warp[static_cast<size_t>(lane)].sums[i] = static_cast<int32_t>(sum);
    }
  }
}

template <class Kernel>
class EmulatedBlock {
 public:
  using Local = typename Kernel::Local;

  // `backwards`: threads run from the last to the first; kernels must not care. Memory begins as
  // garbage, as on the device.
  explicit EmulatedBlock(bool backwards) : backwards_(backwards) {
    std::memset(static_cast<void*>(&shared_), kGarbage, sizeof shared_);
    std::memset(static_cast<void*>(locals_.data()), kGarbage, sizeof locals_);
  }

  void start(int index) { index_ = index; }

  int index() const { return index_; }
  typename Kernel::Shared& shared() { return shared_; }

  template <class Fn>
  void each(const Fn& fn) {
    for (int i = 0; i < Kernel::kThreads; ++i) {
      const int thread = backwards_ ? Kernel::kThreads - 1 - i : i;
      fn(thread, locals_[static_cast<size_t>(thread)]);
    }
  }
  template <class Fn>
  void each_apart(const Fn& fn) {
    each(fn);
  }
  template <bool kUnsigned, class Fn>
  void mma(const Fn& fn) {
    static_assert(Kernel::kThreads % kWarp == 0);
    for (size_t first = 0; first < Kernel::kThreads; first += kWarp) {
      std::array<Fragments, kWarp> warp;
      for (size_t i = 0; i < kWarp; ++i) warp[i] = fn(locals_[first + i]);
      emulate_mma<kUnsigned>(warp);
    }
  }
  template <int kCount, class Awake, class Fn>
  void butterfly(int distance, const Awake& awake, const Fn& fn) {
    for (int thread = 0; thread < Kernel::kThreads; ++thread) {
      Local& lower = locals_[static_cast<size_t>(thread)];
      if ((thread & distance) != 0 || !awake(lower)) continue;
      uint32_t* p = fn(lower);
      uint32_t* q = fn(locals_[static_cast<size_t>(thread | distance)]);
      for (int i = 0; i < kCount; ++i) {
        const uint32_t sum = p[i] + q[i];
        q[i] = p[i] - q[i];
        p[i] = sum;
      }
    }
  }
  template <int kCount, class Fn>
  void least(const Fn& fn) {
    for (size_t first = 0; first < Kernel::kThreads; first += kWarp) {
      for (int k = 0; k < kCount; ++k) {
        uint32_t least = fn(locals_[first])[k];
        for (size_t i = 1; i < kWarp; ++i) least = std::min(least, fn(locals_[first + i])[k]);
        for (size_t i = 0; i < kWarp; ++i) fn(locals_[first + i])[k] = least;
      }
    }
  }

 private:
  static constexpr int kGarbage = 0xA5;

  const bool backwards_;
  int index_ = 0;
  typename Kernel::Shared shared_;
  std::array<Local, Kernel::kThreads> locals_;
};

}  // namespace bsq::cuda
