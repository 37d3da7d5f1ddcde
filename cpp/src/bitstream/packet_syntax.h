// Flags of packets and components, and the checksum's size: what reader and writer share.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bsq {

inline constexpr uint8_t kFlagKeyframe = 0x80;
inline constexpr int kLayersShift = 4;  // of layers - 1, in three bits
inline constexpr uint8_t kFlagSteps = 0x08;
inline constexpr uint8_t kFlagDeviation = 0x04;
inline constexpr uint8_t kFlagDuration = 0x02;
inline constexpr uint8_t kFlagGroupToggle = 0x01;

// Of a component after the first.
inline constexpr uint8_t kComponentFlags = 0x79;  // all that it may have
inline constexpr uint8_t kFlagFirstMotion = 0x01;

constexpr size_t checksum_size(bool keyframe) { return keyframe ? 4 : 2; }

}  // namespace bsq
