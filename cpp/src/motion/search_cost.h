// Constants of the motion search, which the processor's and that of a device share, and the rate
// estimate of motion vectors in its coarse search, in integers.
#pragma once

#include <bit>
#include <cstdlib>

#include "motion/motion_field.h"

namespace bsq {

inline constexpr int kMaxSearchRange = 512;  // luma samples each way
inline constexpr int kCostOne = 16;          // costs count 16ths of an absolute difference of one
inline constexpr int kSearchLevels = 3;      // sizes of a frame: full, half and quarter
inline constexpr int kSearchPad = 64;        // replicated samples around every size
// A block may leave the frame by this many full-size samples, so that sub-sample filters stay in
// the padding.
inline constexpr int kSearchReach = 48;
inline constexpr int kPhaseReach = 52;      // samples around the frame at all sixteen phases
inline constexpr int kStaticPerSample = 1;  // an 8x8 block that differs less is taken for unmoved
inline constexpr int kLeastSplitBits = 4;   // four vectors do not pay where one costs less
inline constexpr int kMaxTried = 512;  // vectors of a superblock whose differences are remembered

// Bits of one component of a vector difference, in quarter samples, as an Elias gamma code.
inline int component_bits(int d) {
  return 2 * static_cast<int>(std::bit_width(static_cast<unsigned>(std::abs(d)))) + 1;
}

}  // namespace bsq
