// The arithmetic of docs/numerics.md section 2 and what all kernels share, for device and host.
//
// Kernels are written once. nvcc compiles them for the device; the host's compiler compiles the
// same source for the emulation (thread_block.h), in which they are tested without a device.
#pragma once

#include <stdint.h>

#ifdef __CUDACC__
#define BSQ_DEVICE __device__ __forceinline__
#define BSQ_UNROLL _Pragma("unroll")
#else
#define BSQ_DEVICE inline
#define BSQ_UNROLL
#endif

namespace bsq::cuda {

// Sixteen bytes that move in one access.
struct alignas(16) Bytes16 {
  uint32_t words[4];
};

// Four s8 values that move in one access.
struct alignas(4) Bytes4 {
  int8_t values[4];
};

BSQ_DEVICE int32_t clamp(int32_t value, int32_t low, int32_t high) {
  return value < low ? low : value > high ? high : value;
}

BSQ_DEVICE int32_t saturate(int64_t value, int32_t limit) {
  return value < -limit ? -limit : value > limit ? limit : static_cast<int32_t>(value);
}

BSQ_DEVICE int64_t requantize(int32_t sum, int32_t m, int shift) {
  return (static_cast<int64_t>(sum) * m + (int64_t{1} << (shift - 1))) >> shift;
}

BSQ_DEVICE int8_t rq8(int32_t sum, int32_t m, int shift) {
  return static_cast<int8_t>(saturate(requantize(sum, m, shift), 127));
}

BSQ_DEVICE int16_t rq16(int32_t sum, int32_t m, int shift) {
  return static_cast<int16_t>(saturate(requantize(sum, m, shift), 32767));
}

BSQ_DEVICE int16_t add16(int16_t x, int16_t y) {
  return static_cast<int16_t>(clamp(x + y, -32767, 32767));
}

// Binary digits of a value; 0 has none.
BSQ_DEVICE int32_t digits(uint32_t value) {
#ifdef __CUDA_ARCH__
  return 32 - __clz(static_cast<int>(value));
#else
  return value == 0 ? 0 : 32 - __builtin_clz(value);
#endif
}

// Bits that are set.
BSQ_DEVICE int32_t ones(uint32_t value) {
#ifdef __CUDA_ARCH__
  return __popc(value);
#else
  return __builtin_popcount(value);
#endif
}

// The four bytes that begin at byte 0 to 3 of two words, the lower first.
BSQ_DEVICE uint32_t four_bytes(uint32_t lower, uint32_t upper, int byte) {
#ifdef __CUDA_ARCH__
  return __funnelshift_r(lower, upper, static_cast<unsigned>(8 * byte));
#else
  return static_cast<uint32_t>((uint64_t{upper} << 32 | lower) >> (8 * byte));
#endif
}

// The absolute differences of four bytes and four others, added.
BSQ_DEVICE uint32_t sad4(uint32_t a, uint32_t b) {
#ifdef __CUDA_ARCH__
  return __vsadu4(a, b);
#else
  uint32_t sum = 0;
  for (int i = 0; i < 32; i += 8) {
    const uint32_t x = a >> i & 0xFF;
    const uint32_t y = b >> i & 0xFF;
    sum += x > y ? x - y : y - x;
  }
  return sum;
#endif
}

BSQ_DEVICE int32_t magnitude(int32_t value) { return value < 0 ? -value : value; }

}  // namespace bsq::cuda
