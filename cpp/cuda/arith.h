// The arithmetic of docs/numerics.md section 2 and what all kernels share, for device and host.
//
// Kernels are written once. nvcc compiles them for the device; the host's compiler compiles the
// same source for the emulation (emulated_block.h), in which they are tested without a device.
#pragma once

#include <stdint.h>

#ifdef __CUDACC__
#define BSQ_DEVICE __device__ __forceinline__
#else
#define BSQ_DEVICE inline
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

BSQ_DEVICE int32_t magnitude(int32_t value) { return value < 0 ? -value : value; }

}  // namespace bsq::cuda
