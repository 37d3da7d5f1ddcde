// Reads packets: checksum, header, the components of a frame and their payloads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "bitstream/packet.h"

namespace bsq {

// How many payloads a component has in a packet: one a tile.
struct TileCounts {
  size_t frame = 1;
  size_t base = 1;  // of the base frame of a keyframe
};

// open(), read_frame(), then read_payloads() of each component. What is read refers to the packet's
// bytes and lasts until the next packet, whose memory it becomes. Every step throws
// Error(BSQ_ERROR_BITSTREAM) for damage, with the place in the packet.
class PacketReader {
 public:
  // Verifies the checksum and reads the header. `what` names the packet in messages ("packet 7").
  // Throws BSQ_ERROR_UNSUPPORTED for other versions.
  const PacketHeader& open(std::span<const uint8_t> packet, const std::string& what);

  // Reads the frame's headers, one per component. `tiles`: by component, at least one. Where
  // has_steps is false the caller fills the steps in.
  std::span<FrameData> read_frame(std::span<const TileCounts> tiles);

  // Splits the payloads of a component. To be called just before they are decoded, so that the
  // first error of a packet is the one reported.
  const FrameData& read_payloads(size_t component);

  const PacketHeader& header() const { return header_; }
  std::span<const uint8_t> packet() const { return packet_; }
  std::span<FrameData> components() { return components_; }

 private:
  struct Part {
    ByteReader body;  // sizes and payloads
    ByteReader base;  // those of the base frame
    TileCounts tiles;
  };

  std::span<const uint8_t> packet_;
  PacketHeader header_;
  ByteReader rest_{std::span<const uint8_t>()};  // not read yet, without the checksum
  ByteReader base_{std::span<const uint8_t>()};  // of the first component's base frame
  std::vector<Part> parts_;                      // by component, as are
  std::vector<FrameData> components_;
};

}  // namespace bsq
