// Flags of packets, frames and components, and the checksum's size: what reader and writer share.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bsq {

// Of a packet.
inline constexpr uint8_t kFlagKeyframe = 0x80;
inline constexpr int kFramesShift = 4;  // of the number of coded frames, in three bits
inline constexpr uint8_t kFlagDeviation = 0x08;
inline constexpr uint8_t kFlagDuration = 0x04;
inline constexpr uint8_t kGroupCounterMask = 0x03;

// Of a coded frame, or of a component after the first.
inline constexpr uint8_t kFlagB = 0x80;
inline constexpr int kLayersShift = 4;  // of layers - 1, in three bits
inline constexpr uint8_t kFlagSteps = 0x08;
inline constexpr uint8_t kHoldMask = 0x07;

// Of a component after the first.
inline constexpr uint8_t kComponentFlags = 0x79;  // all that it may have
inline constexpr uint8_t kFlagFirstMotion = 0x01;

// Quantizers: c of the last layer, and above it which of the layers at multiples of a spacing there
// are before it.
inline constexpr int kLadderShift = 9;
inline constexpr int kLadderSpacing = 80;

constexpr size_t checksum_size(bool keyframe) { return keyframe ? 4 : 2; }

}  // namespace bsq
