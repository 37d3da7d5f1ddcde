// Sign quantization on the unit sphere.
#include "quantizer/sphere.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/status.h"

namespace bsq {
namespace {

void check_finite(float value, int i) {
  if (!std::isfinite(value)) {
    throw Error(BSQ_ERROR_ARGUMENT,
                "element " + std::to_string(i) + " of the vector to quantize is NaN or infinite");
  }
}

}  // namespace

void check_code_bits(int bits) {
  if (bits < 1 || bits > kMaxCodeBits) {
    throw Error(BSQ_ERROR_ARGUMENT, "a code has from 1 to 64 bits, not " + std::to_string(bits));
  }
}

uint64_t quantize(const float* z, int bits) {
  check_code_bits(bits);
  uint64_t code = 0;
  for (int i = 0; i < bits; ++i) {
    check_finite(z[i], i);
    // The norm is positive, so the sign of u is the sign of z.
    code |= static_cast<uint64_t>(z[i] >= 0.0F) << i;
  }
  return code;
}

void project(const float* z, int bits, float* u) {
  check_code_bits(bits);
  float largest = 0.0F;
  for (int i = 0; i < bits; ++i) {
    check_finite(z[i], i);
    largest = std::max(largest, std::fabs(z[i]));
  }
  if (largest == 0.0F) {
    std::fill_n(u, bits, corner(bits));
    return;
  }
  // Squares of floats neither overflow nor vanish in double precision.
  double sum = 0.0;
  for (int i = 0; i < bits; ++i) sum += static_cast<double>(z[i]) * static_cast<double>(z[i]);
  const double norm = std::sqrt(sum);
  for (int i = 0; i < bits; ++i) u[i] = static_cast<float>(static_cast<double>(z[i]) / norm);
}

float corner(int bits) {
  check_code_bits(bits);
  return static_cast<float>(1.0 / std::sqrt(static_cast<double>(bits)));
}

void dequantize(uint64_t code, int bits, float* u) {
  check_code_bits(bits);
  if ((code & ~code_mask(bits)) != 0) {
    throw Error(BSQ_ERROR_ARGUMENT, "the code " + std::to_string(code) + " has more than " +
                                        std::to_string(bits) + " bits");
  }
  const float value = corner(bits);
  for (int i = 0; i < bits; ++i) u[i] = ((code >> i) & 1) != 0 ? value : -value;
}

}  // namespace bsq
