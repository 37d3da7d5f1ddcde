// A thread block on the device: see thread_block.h. Only nvcc compiles this.
#pragma once

#include "cuda/arith.h"
#include "cuda/thread_block.h"

namespace bsq::cuda {

template <class Kernel>
class DeviceBlock {
 public:
  using Local = typename Kernel::Local;

  __device__ __forceinline__ explicit DeviceBlock(typename Kernel::Shared& shared)
      : shared_(shared) {}

  __device__ __forceinline__ int index() const { return static_cast<int>(blockIdx.x); }
  __device__ __forceinline__ typename Kernel::Shared& shared() { return shared_; }

  template <class Fn>
  __device__ __forceinline__ void each(const Fn& fn) {
    fn(static_cast<int>(threadIdx.x), local_);
    __syncthreads();
  }
  template <class Fn>
  __device__ __forceinline__ void each_apart(const Fn& fn) {
    fn(static_cast<int>(threadIdx.x), local_);
  }
  template <bool kUnsigned, class Fn>
  __device__ __forceinline__ void mma(const Fn& fn) {
    const Fragments f = fn(local_);
    if constexpr (kUnsigned) {
      asm volatile(
          "mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32 "
          "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
          : "+r"(f.sums[0]), "+r"(f.sums[1]), "+r"(f.sums[2]), "+r"(f.sums[3])
          : "r"(f.a[0]), "r"(f.a[1]), "r"(f.a[2]), "r"(f.a[3]), "r"(f.b[0]), "r"(f.b[1]));
    } else {
      asm volatile(
          "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 "
          "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
          : "+r"(f.sums[0]), "+r"(f.sums[1]), "+r"(f.sums[2]), "+r"(f.sums[3])
          : "r"(f.a[0]), "r"(f.a[1]), "r"(f.a[2]), "r"(f.a[3]), "r"(f.b[0]), "r"(f.b[1]));
    }
  }
  template <int kCount, class Awake, class Fn>
  __device__ __forceinline__ void butterfly(int distance, const Awake& awake, const Fn& fn) {
    if (!awake(local_)) return;
    const bool upper = (threadIdx.x & static_cast<unsigned>(distance)) != 0;
    uint32_t* values = fn(local_);
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      const uint32_t mine = values[i];
      const uint32_t other = __shfl_xor_sync(kAllThreads, mine, distance);
      values[i] = upper ? other - mine : mine + other;
    }
  }
  template <int kCount, class Fn>
  __device__ __forceinline__ void least(const Fn& fn) {
    uint32_t* values = fn(local_);
#pragma unroll
    for (int i = 0; i < kCount; ++i) values[i] = __reduce_min_sync(kAllThreads, values[i]);
  }

 private:
  static constexpr unsigned kAllThreads = 0xFFFFFFFFU;

  typename Kernel::Shared& shared_;
  Local local_;
};

}  // namespace bsq::cuda
