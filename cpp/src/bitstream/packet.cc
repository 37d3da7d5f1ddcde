// Reading and writing packets.
#include "bitstream/packet.h"

#include <utility>

#include "base/crc32.h"
#include "base/quant_step.h"
#include "base/status.h"

namespace bsq {
namespace {

constexpr uint8_t kFlagKeyframe = 0x80;
constexpr uint8_t kFlagSteps = 0x08;
constexpr uint8_t kFlagDeviation = 0x04;
constexpr uint8_t kFlagDuration = 0x02;
constexpr uint8_t kFlagGroupToggle = 0x01;
constexpr int kLayersShift = 4;

constexpr size_t checksum_size(bool keyframe) { return keyframe ? 4 : 2; }

// A newer version may have another checksum, so the version is looked at first.
void check_keyframe_start(std::span<const uint8_t> data, const std::string& what) {
  ByteReader reader(data.subspan(1), what, 1);
  const auto start = reader.span(5);
  constexpr std::array<uint8_t, 4> kMagic = {'B', 'S', 'Q', '1'};
  if (!std::equal(kMagic.begin(), kMagic.end(), start.begin())) {
    throw Error(BSQ_ERROR_BITSTREAM,
                what +
                    ", byte 1: no sequence header where a keyframe has one; the packet is "
                    "damaged or is not BSQ");
  }
  if (start[4] != kCodestreamVersion) {
    ByteReader header(data.subspan(1), what, 1);
    parse_sequence_header(header, what);  // throws BSQ_ERROR_UNSUPPORTED
  }
}

void verify_checksum(std::span<const uint8_t> data, bool keyframe, const std::string& what) {
  const size_t size = checksum_size(keyframe);
  if (data.size() < size + 1) {
    throw Error(BSQ_ERROR_BITSTREAM, what + ", byte " + std::to_string(data.size()) +
                                         ": the packet ends before its checksum");
  }
  const size_t at = data.size() - size;
  uint32_t found = 0;
  for (size_t i = 0; i < size; ++i) found |= static_cast<uint32_t>(data[at + i]) << (8 * i);
  uint32_t expected = crc32(data.first(at));
  if (!keyframe) expected &= 0xFFFF;
  if (found != expected) {
    throw Error(BSQ_ERROR_BITSTREAM,
                what + ", byte " + std::to_string(at) +
                    ": the checksum does not match; the packet is damaged, cut short or not BSQ");
  }
}

int64_t read_timestamp(ByteReader& reader, const char* name) {
  ByteReader ahead = reader;
  const int64_t value = ahead.signed_varint();
  if (value > kMaxTimestamp || value < -kMaxTimestamp) {
    reader.fail(std::string(name) + " is out of range");
  }
  reader = std::move(ahead);
  return value;
}

void read_steps(ByteReader& reader, int layers, std::array<uint16_t, kMaxLayers>& steps) {
  for (int i = 0; i < layers; ++i) {
    ByteReader ahead = reader;
    const uint16_t step = ahead.u16();
    if (step > kMaxLayerQ) {
      reader.fail("step " + std::to_string(step) + " of layer " + std::to_string(i) +
                  " is above the limit of 504");
    }
    steps[static_cast<size_t>(i)] = step;
    reader = std::move(ahead);
  }
}

// The reader of the payloads.
ByteReader read_base(ByteReader& reader, BaseHeader& base) {
  ByteReader ahead = reader;
  const uint64_t size = ahead.varint();
  if (size > ahead.remaining()) reader.fail("the base frame reaches past the packet's end");
  reader = std::move(ahead);
  ByteReader part = reader.part(static_cast<size_t>(size));
  if (size == 0) return part;
  ByteReader start = part;
  const uint8_t layers = part.u8();
  if (layers >= kMaxLayers) {
    start.fail("the base frame has " + std::to_string(layers + 1) + " layers, more than 8");
  }
  base.layers = layers + 1;
  read_steps(part, base.layers, base.steps);
  return part;
}

constexpr uint8_t kComponentFlags = 0x79;  // those of a component after the first
constexpr uint8_t kFlagFirstMotion = 0x01;

// A component after the first, from all of its bytes.
FrameView read_component(ByteReader reader, bool keyframe) {
  FrameHeader header;
  ByteReader start = reader;
  const uint8_t flags = reader.u8();
  header.layers = ((flags >> kLayersShift) & 7) + 1;
  header.has_steps = (flags & kFlagSteps) != 0;
  header.first_motion = (flags & kFlagFirstMotion) != 0;
  if ((flags & ~kComponentFlags) != 0) {
    start.fail("a component has the flags " + std::to_string(flags) + ", which mean nothing");
  }
  if (keyframe && !header.has_steps) start.fail("a component of a keyframe without steps");
  if (keyframe && header.first_motion) start.fail("a component of a keyframe with motion");
  if (header.has_steps) read_steps(reader, header.layers, header.steps);
  ByteReader base = keyframe ? read_base(reader, header.base) : reader.part(0);
  return {header, reader, base};
}

void read_times(ByteReader& reader, uint8_t flags, PacketHeader& header) {
  if (header.keyframe) {
    header.pts = read_timestamp(reader, "the timestamp");
  } else {
    ByteReader ahead = reader;
    header.index = static_cast<uint32_t>(ahead.varint_up_to(kMaxIndex, "the index in the group"));
    if (header.index == 0) reader.fail("the index in the group is 0, which is the keyframe's");
    reader = std::move(ahead);
  }
  if ((flags & kFlagDeviation) != 0) header.deviation = read_timestamp(reader, "the deviation");
  header.has_duration = (flags & kFlagDuration) != 0;
  if (header.has_duration) {
    header.duration = reader.varint_up_to(static_cast<uint64_t>(kMaxTimestamp), "the duration");
  }
}

PacketHeader read_header(ByteReader& reader, const std::string& what) {
  PacketHeader header;
  ByteReader start = reader;
  const uint8_t flags = reader.u8();
  header.keyframe = (flags & kFlagKeyframe) != 0;
  header.frame.layers = ((flags >> kLayersShift) & 7) + 1;
  header.frame.has_steps = (flags & kFlagSteps) != 0;
  header.group_toggle = (flags & kFlagGroupToggle) != 0;
  if (header.keyframe && !header.frame.has_steps) start.fail("a keyframe without steps");
  if (header.keyframe && (flags & kFlagDeviation) != 0) start.fail("a keyframe with a deviation");
  if (header.keyframe) header.sequence = parse_sequence_header(reader, what);
  read_times(reader, flags, header);
  if (header.frame.has_steps) read_steps(reader, header.frame.layers, header.frame.steps);
  return header;
}

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

PacketView parse_packet(std::span<const uint8_t> data, const std::string& what) {
  if (data.empty()) throw Error(BSQ_ERROR_BITSTREAM, what + ", byte 0: the packet is empty");
  const bool keyframe = (data[0] & kFlagKeyframe) != 0;
  if (keyframe) check_keyframe_start(data, what);
  verify_checksum(data, keyframe, what);
  ByteReader reader(data.first(data.size() - checksum_size(keyframe)), what);
  PacketHeader header = read_header(reader, what);
  ByteReader base = keyframe ? read_base(reader, header.frame.base) : reader.part(0);
  return {header, reader, base};
}

void set_group_toggle(std::span<uint8_t> data, bool group_toggle, const std::string& what) {
  const bool keyframe = parse_packet(data, what).header.keyframe;
  data[0] =
      static_cast<uint8_t>((data[0] & ~kFlagGroupToggle) | (group_toggle ? kFlagGroupToggle : 0));
  const size_t at = data.size() - checksum_size(keyframe);
  const uint32_t checksum = crc32(data.first(at));
  for (size_t i = 0; at + i < data.size(); ++i) {
    data[at + i] = static_cast<uint8_t>(checksum >> (8 * i));
  }
}

void split_components(const PacketView& packet, size_t count, std::vector<FrameView>& components) {
  ByteReader body = packet.body;
  components.clear();
  components.push_back({packet.header.frame, body, packet.base});
  for (size_t i = 1; i < count; ++i) {
    ByteReader ahead = body;
    const uint64_t size = ahead.varint();
    if (size > ahead.remaining()) {
      body.fail("component " + std::to_string(i) + " reaches past the packet's end");
    }
    body = std::move(ahead);
    components.push_back(
        read_component(body.part(static_cast<size_t>(size)), packet.header.keyframe));
  }
  components.front().body = std::move(body);
}

void split_payloads(ByteReader body, size_t tiles, PayloadSpans& payloads) {
  ByteReader sizes = body;
  size_t total = 0;
  for (size_t i = 0; i + 1 < tiles; ++i) {
    // The table itself takes a byte an entry, so that the sum cannot pass the packet's size.
    ByteReader ahead = body;
    const uint64_t size = ahead.varint();
    if (size > ahead.remaining() || total > ahead.remaining() - static_cast<size_t>(size)) {
      body.fail("the payload of tile " + std::to_string(i) + " reaches past the packet's end");
    }
    body = std::move(ahead);
    total += static_cast<size_t>(size);
  }
  if (total > body.remaining()) body.fail("the tiles' payloads reach past the packet's end");
  payloads.clear();
  for (size_t i = 0; i + 1 < tiles; ++i) {
    payloads.push_back(body.span(static_cast<size_t>(sizes.varint())));
  }
  payloads.push_back(body.span(body.remaining()));
}

std::optional<int64_t> packet_time(const PacketHeader& header, int64_t keyframe_pts,
                                   uint32_t ticks) {
  // The product stays below 2^62.
  const int64_t base = keyframe_pts + static_cast<int64_t>(header.index) * ticks;
  if (base > kMaxTimestamp) return std::nullopt;
  // 2^62 twice would overflow; without signs it wraps to -2^63, which is out of range too.
  const auto pts =
      static_cast<int64_t>(static_cast<uint64_t>(base) + static_cast<uint64_t>(header.deviation));
  if (pts > kMaxTimestamp || pts < -kMaxTimestamp) return std::nullopt;
  return pts;
}

int64_t packet_pts(const PacketHeader& header, int64_t keyframe_pts, uint32_t ticks,
                   const std::string& what) {
  const std::optional<int64_t> pts = packet_time(header, keyframe_pts, ticks);
  if (!pts) throw Error(BSQ_ERROR_BITSTREAM, what + ", byte 1: the timestamp is out of range");
  return *pts;
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
