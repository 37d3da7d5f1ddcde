// Reads packets: checksum, header, frames, their components and payloads.
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

// open() and list_frames(); then for each of the header's frames in turn read_frame(), and
// read_payloads() of each of its components. What is read refers to the packet's bytes and lasts
// until the next packet, whose memory it becomes. Every step throws Error(BSQ_ERROR_BITSTREAM) for
// damage, with the place in the packet.
class PacketReader {
 public:
  // Verifies the checksum and reads the header. `what` names the packet in messages ("packet 7").
  // Throws BSQ_ERROR_UNSUPPORTED for other versions.
  const PacketHeader& open(std::span<const uint8_t> packet, const std::string& what);

  // Reads the headers of the frames, and completes the packet's by what they say of it as a whole.
  const PacketHeader& list_frames();

  // Goes on to the next frame, and reads the headers of its components. `tiles`: by component, at
  // least one. Where has_steps is false the caller fills the steps in.
  const FrameHeader& read_frame(std::span<const TileCounts> tiles);

  // Splits the payloads of a component. To be called just before they are decoded, so that the
  // first error of a packet is the one reported.
  const FrameData& read_payloads(size_t component);

  const PacketHeader& header() const { return header_; }
  std::span<const uint8_t> packet() const { return packet_; }
  // Bytes of the frame read last.
  size_t frame_size() const { return frames_[next_ - 1].size; }
  std::span<FrameData> components() { return components_; }

 private:
  // A coded frame, read up to its quantizers.
  struct ListedFrame {
    FrameHeader header;
    ComponentHeader first;  // of the first component
    ByteReader rest;        // after these
    size_t size;
  };
  struct Part {
    ByteReader body;  // sizes and payloads
    ByteReader base;  // those of the base frame
    TileCounts tiles;
  };

  std::span<const uint8_t> packet_;
  PacketHeader header_;
  ByteReader rest_{std::span<const uint8_t>()};  // after the header, without the checksum
  std::vector<ListedFrame> frames_;
  size_t next_ = 0;          // of these
  std::vector<Part> parts_;  // by component, as are
  std::vector<FrameData> components_;
};

}  // namespace bsq
