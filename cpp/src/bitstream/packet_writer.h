// Writes packets, and changes the group toggle of one.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/bytes.h"
#include "bitstream/packet.h"

namespace bsq {

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

// Changes the group toggle of a packet and its checksum. Verifies it first, and throws as
// PacketReader::open().
void set_group_toggle(std::span<uint8_t> data, bool group_toggle, const std::string& what);

}  // namespace bsq
