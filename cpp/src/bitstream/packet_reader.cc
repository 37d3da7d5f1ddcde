// Verifying and reading packets.
#include "bitstream/packet_reader.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/crc32.h"
#include "base/quant_step.h"
#include "base/status.h"
#include "bitstream/packet_syntax.h"

namespace bsq {
namespace {

// A newer version may have another checksum, so the version is looked at first.
void check_keyframe_start(std::span<const uint8_t> data, const std::string& what) {
  ByteReader reader(data.subspan(1), what, 1);
  const auto start = reader.span(5);
  if (!std::equal(kSequenceMagic.begin(), kSequenceMagic.end(), start.begin())) {
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

// Returns the reader of its payloads.
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

// The header of a component after the first, up to its table of sizes. Returns the reader of its
// base frame's payloads.
ByteReader read_component(ByteReader& reader, bool keyframe, FrameHeader& header) {
  header = {};
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
  return keyframe ? read_base(reader, header.base) : reader.part(0);
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

// The bytes of component `index`, which is not the first.
ByteReader component_bytes(ByteReader& reader, size_t index) {
  ByteReader ahead = reader;
  const uint64_t size = ahead.varint();
  if (size > ahead.remaining()) {
    reader.fail("component " + std::to_string(index) + " reaches past the packet's end");
  }
  reader = std::move(ahead);
  return reader.part(static_cast<size_t>(size));
}

// Splits all that is left by the table of sizes.
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

}  // namespace

const PacketHeader& PacketReader::open(std::span<const uint8_t> packet, const std::string& what) {
  if (packet.empty()) throw Error(BSQ_ERROR_BITSTREAM, what + ", byte 0: the packet is empty");
  const bool keyframe = (packet[0] & kFlagKeyframe) != 0;
  if (keyframe) check_keyframe_start(packet, what);
  verify_checksum(packet, keyframe, what);
  packet_ = packet;
  rest_ = ByteReader(packet.first(packet.size() - checksum_size(keyframe)), what);
  header_ = read_header(rest_, what);
  base_ = keyframe ? read_base(rest_, header_.frame.base) : rest_.part(0);
  return header_;
}

std::span<FrameData> PacketReader::read_frame(std::span<const TileCounts> tiles) {
  components_.resize(tiles.size());
  components_.front().header = header_.frame;
  parts_.clear();
  parts_.push_back({rest_, base_, tiles.front()});
  for (size_t i = 1; i < tiles.size(); ++i) {
    ByteReader body = component_bytes(rest_, i);
    ByteReader base = read_component(body, header_.keyframe, components_[i].header);
    parts_.push_back({std::move(body), std::move(base), tiles[i]});
  }
  // The sizes and payloads of the first component come last and extend to the end.
  parts_.front().body = rest_.part(rest_.remaining());
  return components_;
}

const FrameData& PacketReader::read_payloads(size_t component) {
  const Part& part = parts_[component];
  FrameData& data = components_[component];
  split_payloads(part.body, part.tiles.frame, data.payloads);
  data.base_payloads.clear();
  if (data.header.base.layers > 0) split_payloads(part.base, part.tiles.base, data.base_payloads);
  return data;
}

}  // namespace bsq
