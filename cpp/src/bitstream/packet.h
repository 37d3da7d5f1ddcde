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
struct ComponentHeader {
  int layers = 1;
  bool has_steps = false;                    // else those of the coding state
  bool first_motion = false;                 // the motion is that of the first component
  std::array<uint16_t, kMaxLayers> steps{};  // c of the first `layers` layers
  BaseHeader base;                           // keyframes only
};

struct PacketHeader {
  bool keyframe = false;
  SequenceHeader sequence;  // keyframes only
  int64_t pts = 0;          // keyframes only, in ticks
  uint32_t index = 0;       // in the group; 0 at a keyframe
  int group_counter = 0;    // of the group: tells it from those before and after it
  int64_t deviation = 0;    // from keyframe pts + index * ticks per frame
  bool has_duration = false;
  uint64_t duration = 0;
  int frames = 1;    // coded in the packet
  int held = 0;      // of these, those that are held: others may refer to them
  int b_frames = 0;  // of these, those that refer to a later one
  int layers = 0;    // of the frame shown, if it is among them
  double crf = -1;   // of the last layer of the frame shown; -1 where the packet does not say
};

// What a packet says of a frame as a whole.
struct FrameHeader {
  bool is_b = false;
  int hold = 0;       // 0: the frame is not held, else 1 + its slot
  int ahead = 0;      // its index minus that of the packet; 0 for the last frame of a packet
  uint32_t back = 0;  // frames to the first reference; 0 in a keyframe
  int forth = 0;      // to the second, in a B frame; below 0 where that is before the frame
};

// What a packet holds of the frame of one component.
struct FrameData {
  ComponentHeader header;
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
