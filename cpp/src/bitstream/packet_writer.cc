// Packets as bytes.
#include "bitstream/packet_writer.h"

#include <optional>
#include <utility>

#include "base/crc32.h"
#include "bitstream/packet_reader.h"
#include "bitstream/packet_syntax.h"

namespace bsq {
namespace {

uint8_t flags_of(const PacketHeader& header, int frames) {
  int flags = frames << kFramesShift | header.group_counter;
  if (header.keyframe) flags |= kFlagKeyframe;
  if (header.deviation != 0) flags |= kFlagDeviation;
  if (header.has_duration) flags |= kFlagDuration;
  return static_cast<uint8_t>(flags);
}

uint8_t flags_of(const ComponentHeader& header) {
  const int flags = (header.layers - 1) << kLayersShift;
  return static_cast<uint8_t>(header.has_steps ? flags | kFlagSteps : flags);
}

void write_payloads(const PayloadSpans& payloads, ByteWriter& writer) {
  for (size_t i = 0; i + 1 < payloads.size(); ++i) writer.varint(payloads[i].size());
  for (const auto& payload : payloads) writer.span(payload);
}

// Which layers of the ladder there are before the last one; nothing where one is not on it.
std::optional<int> ladder(std::span<const uint16_t> steps) {
  int mask = 0;
  int before = 8;
  for (const uint16_t c : steps.first(steps.size() - 1)) {
    const int above = c - steps.back();
    const int k = above / kLadderSpacing;
    if (above % kLadderSpacing != 0 || k < 1 || k >= before) return std::nullopt;
    mask |= 1 << (k - 1);
    before = k;
  }
  return mask;
}

void write_steps(std::span<const uint16_t> steps, ByteWriter& writer) {
  const std::optional<int> mask = ladder(steps);
  writer.u16(static_cast<uint16_t>(steps.back() | mask.value_or(0) << kLadderShift));
  if (mask) return;
  for (size_t i = steps.size() - 1; i > 0; --i) {
    writer.varint(static_cast<uint64_t>(steps[i - 1] - steps[i]));
  }
}

template <class Header>
std::span<const uint16_t> steps_of(const Header& header) {
  return std::span<const uint16_t>(header.steps).first(static_cast<size_t>(header.layers));
}

// `part`: memory for the base frame's bytes.
void write_base(const FrameData& frame, ByteWriter& part, ByteWriter& writer) {
  const BaseHeader& base = frame.header.base;
  part.clear();
  if (base.layers > 0) {
    part.u8(static_cast<uint8_t>(base.layers - 1));
    write_steps(steps_of(base), part);
    write_payloads(frame.base_payloads, part);
  }
  writer.varint(part.size());
  writer.span(part.bytes());
}

// A component after the first.
void write_component(const FrameData& frame, bool keyframe, ByteWriter& base, ByteWriter& writer) {
  const ComponentHeader& header = frame.header;
  writer.u8(static_cast<uint8_t>(flags_of(header) | (header.first_motion ? kFlagFirstMotion : 0)));
  if (header.has_steps) write_steps(steps_of(header), writer);
  if (keyframe) write_base(frame, base, writer);
  write_payloads(frame.payloads, writer);
}

// The bytes of distances that have no room in the byte of both.
void write_references(const FrameHeader& frame, ByteWriter& writer) {
  constexpr uint32_t kShort = 15;
  const uint32_t back = frame.back <= kShort ? frame.back : 0;
  const int forth = frame.forth > 0 && frame.forth <= static_cast<int>(kShort) ? frame.forth : 0;
  writer.u8(static_cast<uint8_t>(back << 4 | static_cast<uint32_t>(forth)));
  if (back == 0) writer.varint(frame.back);
  if (frame.is_b && forth == 0) writer.signed_varint(frame.forth);
}

}  // namespace

void set_group_counter(std::span<uint8_t> data, int group_counter, const std::string& what) {
  PacketReader reader;
  const bool keyframe = reader.open(data, what).keyframe;
  data[0] = static_cast<uint8_t>((data[0] & ~kGroupCounterMask) | group_counter);
  const size_t at = data.size() - checksum_size(keyframe);
  const uint32_t checksum = crc32(data.first(at));
  for (size_t i = 0; at + i < data.size(); ++i) {
    data[at + i] = static_cast<uint8_t>(checksum >> (8 * i));
  }
}

void PacketWriter::begin(const PacketHeader& header) {
  header_ = header;
  frames_.clear();
  count_ = 0;
  is_set_ = false;
}

void PacketWriter::set_frame(const FrameHeader& frame, std::span<const FrameData> components) {
  const FrameData& first = components.front();
  const bool keyframe = header_.keyframe;
  ByteWriter& writer = frame_;
  writer.clear();
  writer.u8(static_cast<uint8_t>(flags_of(first.header) | frame.hold | (frame.is_b ? kFlagB : 0)));
  if (frame.ahead > 0) writer.varint(static_cast<uint64_t>(frame.ahead));
  if (!keyframe) write_references(frame, writer);
  if (first.header.has_steps) write_steps(steps_of(first.header), writer);
  if (keyframe) write_base(first, base_, writer);
  for (const FrameData& component : components.subspan(1)) {
    part_.clear();
    write_component(component, keyframe, base_, part_);
    writer.varint(part_.size());
    writer.span(part_.bytes());
  }
  write_payloads(first.payloads, writer);
  if (frame.ahead > 0) {
    part_.clear();
    part_.varint(frame_.size());
    part_.span(frame_.bytes());
    std::swap(part_, frame_);
  }
  is_set_ = true;
}

void PacketWriter::add_frame() {
  frames_.span(frame_.bytes());
  ++count_;
  is_set_ = false;
}

// What is before the frames.
void PacketWriter::write_header() {
  ByteWriter& writer = packet_;
  writer.clear();
  writer.u8(flags_of(header_, count_ + (is_set_ ? 1 : 0)));
  if (header_.keyframe) {
    write_sequence_header(header_.sequence, base_, writer);
    writer.signed_varint(header_.pts);
  } else {
    writer.varint(header_.index);
  }
  if (header_.deviation != 0) writer.signed_varint(header_.deviation);
  if (header_.has_duration) writer.varint(header_.duration);
}

size_t PacketWriter::size() {
  write_header();
  return packet_.size() + frames_.size() + (is_set_ ? frame_.size() : 0) +
         checksum_size(header_.keyframe);
}

std::span<const uint8_t> PacketWriter::finish() {
  write_header();
  ByteWriter& writer = packet_;
  writer.span(frames_.bytes());
  if (is_set_) writer.span(frame_.bytes());
  const uint32_t checksum = crc32(writer.bytes());
  if (header_.keyframe) {
    writer.u32(checksum);
  } else {
    writer.u16(static_cast<uint16_t>(checksum));
  }
  return writer.bytes();
}

}  // namespace bsq
