// Limits of the codestream that readers check and writers keep (docs/bitstream.md).
#pragma once

#include <cstdint>

namespace bsq {

inline constexpr int kCodestreamVersion = 1;
inline constexpr int kMaxFrameSide = 8192;  // luma samples
inline constexpr int kMaxLevel = 28;        // 8192 x 8192 in 4:4:4 with alpha
inline constexpr int kMaxLayers = 8;
inline constexpr int kSlots = 6;          // for frames that are held as references
inline constexpr int kMaxFrames = 7;      // coded in a packet
inline constexpr int kMaxAhead = 255;     // frames from a reference, or from the frame shown
inline constexpr int kGroupCounters = 4;  // values of a group's counter
inline constexpr uint32_t kMaxIndex = 0x7FFFFFFF;
inline constexpr uint32_t kMaxTicksPerFrame = 0x7FFFFFFF;
// Timestamps lie within +- this many ticks, so that sums of two of them cannot overflow.
inline constexpr int64_t kMaxTimestamp = int64_t{1} << 62;

}  // namespace bsq
