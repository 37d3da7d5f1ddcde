// A packet's syntax: header, sizes of the tiles' payloads, checksum.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
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

// What a packet says of the frame of one component.
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

// A component's part of a packet.
struct FrameView {
  FrameHeader header;
  ByteReader body;  // sizes and payloads
  ByteReader base;  // those of the base frame
};

struct PacketView {
  PacketHeader header;
  ByteReader body;  // the further components, sizes and payloads, without the checksum
  ByteReader base;  // sizes and payloads of the first component's base frame
};

// What an encoder writes of one component.
struct FrameData {
  FrameHeader header;
  PayloadSpans payloads;       // one per tile
  PayloadSpans base_payloads;  // of the base frame, if there is one
};

// Verifies the checksum and reads the header. `what` names the packet in messages ("packet 7").
// Throws Error: BSQ_ERROR_BITSTREAM for damage, BSQ_ERROR_UNSUPPORTED for other versions.
PacketView parse_packet(std::span<const uint8_t> data, const std::string& what);

// Changes the group toggle of a packet and its checksum. Verifies it first, and throws as
// parse_packet.
void set_group_toggle(std::span<uint8_t> data, bool group_toggle, const std::string& what);

// All components of a packet of which the sequence has `count` >= 1.
void split_components(const PacketView& packet, size_t count, std::vector<FrameView>& components);

// The payloads of `tiles` >= 1 tiles.
void split_payloads(ByteReader body, size_t tiles, PayloadSpans& payloads);

// pts of a packet between keyframes in a group that began at `keyframe_pts`, a valid timestamp;
// nothing if it is out of range.
std::optional<int64_t> packet_time(const PacketHeader& header, int64_t keyframe_pts,
                                   uint32_t ticks_per_frame);

// The same, but throws Error(BSQ_ERROR_BITSTREAM), its message beginning with `what`, if it is out
// of range.
int64_t packet_pts(const PacketHeader& header, int64_t keyframe_pts, uint32_t ticks_per_frame,
                   const std::string& what);

// Writes packets; keeps its memory from one to the next.
class PacketWriter {
 public:
  // A packet, which lasts until the next call. `components`: by component, the first of them
  // described by header.frame too.
  std::span<const uint8_t> write(const PacketHeader& header, std::span<const FrameData> components);

 private:
  ByteWriter packet_;
  ByteWriter part_;  // of one component
  ByteWriter base_;  // of one base frame, or the fields of the sequence header
};

}  // namespace bsq
