// What a packet holds: its header, and the headers and payloads of its components.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bitstream/limits.h"
#include "bitstream/sequence_header.h"

namespace bsq {

// Steps of a base frame.
struct BaseHeader {
  int layers = 0;  // 0: there is no base frame
  std::array<uint16_t, kMaxLayers> steps{};
};

// Payloads by tile, as parts of a packet's bytes or as an encoder made them.
using PayloadSpans = std::vector<std::span<const uint8_t>>;

// How the frame of one component is coded.
struct FrameHeader {
  int layers = 1;
  bool has_steps = false;
  bool first_motion = false;                 // the motion is that of the first component
  std::array<uint16_t, kMaxLayers> steps{};  // c of the first `layers` layers
  BaseHeader base;                           // keyframes only
};

struct PacketHeader {
  bool keyframe = false;
  SequenceHeader sequence;    // keyframes only
  int64_t pts = 0;            // keyframes only, in ticks
  uint32_t index = 0;         // in the group; 0 at a keyframe
  bool group_toggle = false;  // of the group: tells it from the one before
  int64_t deviation = 0;      // from keyframe pts + index * ticks per frame
  bool has_duration = false;
  uint64_t duration = 0;
  FrameHeader frame;  // of the first component
};

// What a packet holds of the frame of one component.
struct FrameData {
  FrameHeader header;
  PayloadSpans payloads;       // one per tile
  PayloadSpans base_payloads;  // of the base frame, if there is one
};

// pts of a packet between keyframes in a group that began at `keyframe_pts`, a valid timestamp;
// nothing if it is out of range.
std::optional<int64_t> packet_time(const PacketHeader& header, int64_t keyframe_pts,
                                   uint32_t ticks_per_frame);

// The same, but throws Error(BSQ_ERROR_BITSTREAM), its message beginning with `what`, if it is out
// of range.
int64_t packet_pts(const PacketHeader& header, int64_t keyframe_pts, uint32_t ticks_per_frame,
                   const std::string& what);

}  // namespace bsq
