// The price of motion vectors in the coarse search: an estimate of bits, in integers.
#pragma once

#include <bit>
#include <cstdlib>

#include "motion/motion_field.h"

namespace bsq {

inline constexpr int kMaxSearchRange = 512;  // luma samples each way
inline constexpr int kCostOne = 16;          // costs count 16ths of an absolute difference of one

// Bits of one component of a vector difference, in quarter samples, as an Elias gamma code.
inline int component_bits(int d) {
  return 2 * static_cast<int>(std::bit_width(static_cast<unsigned>(std::abs(d)))) + 1;
}

}  // namespace bsq
