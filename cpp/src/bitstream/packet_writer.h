// Writes packets, and changes the group counter of one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/bytes.h"
#include "bitstream/packet.h"

namespace bsq {

// Writes packets, frame by frame; keeps its memory from one packet to the next.
class PacketWriter {
 public:
  // Of the packet; counts of frames are left out.
  void begin(const PacketHeader& header);
  // The next frame of the packet, in place of the one set before unless that was added.
  // `components`: at least one.
  void set_frame(const FrameHeader& frame, std::span<const FrameData> components);
  // The frame that was set stays.
  void add_frame();
  // Whether frames were added.
  bool has_frames() const { return count_ > 0; }
  // Bytes of the packet with the frames so far, the one just set too.
  size_t size();
  // That packet. It lasts until the next call.
  std::span<const uint8_t> finish();

 private:
  void write_header();

  PacketHeader header_;
  ByteWriter frames_;  // those added
  ByteWriter frame_;   // the one set
  ByteWriter packet_;
  ByteWriter part_;  // of one component
  ByteWriter base_;  // of one base frame, or the fields of the sequence header
  int count_ = 0;    // of the frames added
  bool is_set_ = false;
};

// Changes the group counter of a packet and its checksum. Verifies it first, and throws as
// PacketReader::open().
void set_group_counter(std::span<uint8_t> data, int group_counter, const std::string& what);

}  // namespace bsq
