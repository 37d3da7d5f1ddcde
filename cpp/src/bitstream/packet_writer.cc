// Packets as bytes.
#include "bitstream/packet_writer.h"

#include "base/crc32.h"
#include "bitstream/packet_reader.h"
#include "bitstream/packet_syntax.h"

namespace bsq {
namespace {

uint8_t flags_of(const PacketHeader& header) {
  int flags = (header.frame.layers - 1) << kLayersShift;
  if (header.keyframe) flags |= kFlagKeyframe;
  if (header.frame.has_steps) flags |= kFlagSteps;
  if (header.deviation != 0) flags |= kFlagDeviation;
  if (header.has_duration) flags |= kFlagDuration;
  if (header.group_toggle) flags |= kFlagGroupToggle;
  return static_cast<uint8_t>(flags);
}

void write_payloads(const PayloadSpans& payloads, ByteWriter& writer) {
  for (size_t i = 0; i + 1 < payloads.size(); ++i) writer.varint(payloads[i].size());
  for (const auto& payload : payloads) writer.span(payload);
}

void write_steps(const FrameHeader& header, ByteWriter& writer) {
  if (!header.has_steps) return;
  for (size_t i = 0; i < static_cast<size_t>(header.layers); ++i) writer.u16(header.steps[i]);
}

// `part`: memory for the base frame's bytes.
void write_base(const FrameData& frame, ByteWriter& part, ByteWriter& writer) {
  const BaseHeader& base = frame.header.base;
  part.clear();
  if (base.layers > 0) {
    part.u8(static_cast<uint8_t>(base.layers - 1));
    for (size_t i = 0; i < static_cast<size_t>(base.layers); ++i) part.u16(base.steps[i]);
    write_payloads(frame.base_payloads, part);
  }
  writer.varint(part.size());
  writer.span(part.bytes());
}

// A component after the first.
void write_component(const FrameData& frame, bool keyframe, ByteWriter& base, ByteWriter& writer) {
  const FrameHeader& header = frame.header;
  int flags = (header.layers - 1) << kLayersShift;
  if (header.has_steps) flags |= kFlagSteps;
  if (header.first_motion) flags |= kFlagFirstMotion;
  writer.u8(static_cast<uint8_t>(flags));
  write_steps(header, writer);
  if (keyframe) write_base(frame, base, writer);
  write_payloads(frame.payloads, writer);
}

}  // namespace

void set_group_toggle(std::span<uint8_t> data, bool group_toggle, const std::string& what) {
  PacketReader reader;
  const bool keyframe = reader.open(data, what).keyframe;
  data[0] =
      static_cast<uint8_t>((data[0] & ~kFlagGroupToggle) | (group_toggle ? kFlagGroupToggle : 0));
  const size_t at = data.size() - checksum_size(keyframe);
  const uint32_t checksum = crc32(data.first(at));
  for (size_t i = 0; at + i < data.size(); ++i) {
    data[at + i] = static_cast<uint8_t>(checksum >> (8 * i));
  }
}

std::span<const uint8_t> PacketWriter::write(const PacketHeader& header,
                                             std::span<const FrameData> components) {
  ByteWriter& writer = packet_;
  writer.clear();
  writer.u8(flags_of(header));
  if (header.keyframe) {
    write_sequence_header(header.sequence, base_, writer);
    writer.signed_varint(header.pts);
  } else {
    writer.varint(header.index);
  }
  if (header.deviation != 0) writer.signed_varint(header.deviation);
  if (header.has_duration) writer.varint(header.duration);
  write_steps(header.frame, writer);
  if (header.keyframe) write_base(components.front(), base_, writer);
  for (const FrameData& frame : components.subspan(1)) {
    part_.clear();
    write_component(frame, header.keyframe, base_, part_);
    writer.varint(part_.size());
    writer.span(part_.bytes());
  }
  write_payloads(components.front().payloads, writer);
  const uint32_t checksum = crc32(writer.bytes());
  if (header.keyframe) {
    writer.u32(checksum);
  } else {
    writer.u16(static_cast<uint16_t>(checksum));
  }
  return writer.bytes();
}

}  // namespace bsq
