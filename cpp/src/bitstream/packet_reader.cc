// Verifying and reading packets.
#include "bitstream/packet_reader.h"

#include <algorithm>
#include <array>
#include <bit>
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

void set_step(const ByteReader& reader, int layer, int c, std::array<uint16_t, kMaxLayers>& steps) {
  if (c > kMaxLayerQ) {
    reader.fail("step " + std::to_string(c) + " of layer " + std::to_string(layer) +
                " is above the limit of 504");
  }
  steps[static_cast<size_t>(layer)] = static_cast<uint16_t>(c);
}

// c of the layers by a mask of the ladder: bit k - 1 for a layer of kLadderSpacing * k above.
void read_ladder(const ByteReader& reader, int layers, int mask,
                 std::array<uint16_t, kMaxLayers>& steps) {
  if (std::popcount(static_cast<unsigned>(mask)) != layers - 1) {
    reader.fail("the quantizers are those of " +
                std::to_string(std::popcount(static_cast<unsigned>(mask)) + 1) +
                " layers, not of " + std::to_string(layers));
  }
  const int last = steps[static_cast<size_t>(layers - 1)];
  int layer = layers - 2;
  for (int k = 1; k < kMaxLayers; ++k) {
    if ((mask >> (k - 1) & 1) != 0) set_step(reader, layer--, last + kLadderSpacing * k, steps);
  }
}

void read_steps(ByteReader& reader, int layers, std::array<uint16_t, kMaxLayers>& steps) {
  ByteReader ahead = reader;
  const int v = ahead.u16();
  set_step(reader, layers - 1, v & ((1 << kLadderShift) - 1), steps);
  const int mask = v >> kLadderShift;
  if (mask != 0) read_ladder(reader, layers, mask, steps);
  reader = std::move(ahead);
  if (mask != 0) return;
  for (int i = layers - 2; i >= 0; --i) {
    ahead = reader;
    const auto above = static_cast<int>(ahead.varint_up_to(kMaxLayerQ, "a quantizer's distance"));
    set_step(reader, i, steps[static_cast<size_t>(i + 1)] + above, steps);
    reader = std::move(ahead);
  }
}

// A part that its size precedes. `name`: with which the message begins if it does not fit.
ByteReader sized_part(ByteReader& reader, const std::string& name) {
  ByteReader ahead = reader;
  const uint64_t size = ahead.varint();
  if (size > ahead.remaining()) reader.fail(name + " reaches past the packet's end");
  reader = std::move(ahead);
  return reader.part(static_cast<size_t>(size));
}

// Returns the reader of its payloads.
ByteReader read_base(ByteReader& reader, BaseHeader& base) {
  ByteReader part = sized_part(reader, "the base frame");
  if (part.remaining() == 0) return part;
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
ByteReader read_component(ByteReader& reader, bool keyframe, ComponentHeader& header) {
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
  header.frames = (flags >> kFramesShift) & 7;
  header.group_counter = flags & kGroupCounterMask;
  if (header.keyframe && header.frames != 1) {
    start.fail("a keyframe's packet with " + std::to_string(header.frames) + " frames");
  }
  if (header.keyframe && (flags & kFlagDeviation) != 0) start.fail("a keyframe with a deviation");
  if (header.keyframe) header.sequence = parse_sequence_header(reader, what);
  read_times(reader, flags, header);
  return header;
}

int read_forth(ByteReader& reader) {
  const ByteReader start = reader;
  const int64_t forth = reader.signed_varint();
  if (forth > kMaxAhead || forth < -int64_t{kMaxIndex}) {
    start.fail("a reference's distance is out of range");
  }
  return static_cast<int>(forth);
}

void read_references(ByteReader& reader, FrameHeader& frame) {
  const ByteReader start = reader;
  const uint8_t references = reader.u8();
  frame.back = references >> 4;
  frame.forth = references & 15;
  if (!frame.is_b && frame.forth != 0) start.fail("a P frame with a second reference");
  if (frame.back == 0) {
    frame.back = static_cast<uint32_t>(reader.varint_up_to(kMaxIndex, "a reference's distance"));
  }
  if (frame.is_b && frame.forth == 0) frame.forth = read_forth(reader);
  if (frame.back == 0 || (frame.is_b && frame.forth == 0)) {
    start.fail("a frame that refers to itself");
  }
  if (frame.is_b && int64_t{frame.forth} == -int64_t{frame.back}) {
    start.fail("a B frame with one reference twice");
  }
}

// Up to the quantizers. `last`: of its packet.
FrameHeader read_frame_header(ByteReader& reader, bool keyframe, bool last,
                              ComponentHeader& component) {
  FrameHeader frame;
  const ByteReader start = reader;
  const uint8_t flags = reader.u8();
  frame.is_b = (flags & kFlagB) != 0;
  frame.hold = flags & kHoldMask;
  component = {};
  component.layers = ((flags >> kLayersShift) & 7) + 1;
  component.has_steps = (flags & kFlagSteps) != 0;
  if (frame.hold > kSlots) start.fail("there is no slot " + std::to_string(frame.hold - 1));
  if (keyframe && !component.has_steps) start.fail("a keyframe without steps");
  if (keyframe && frame.is_b) start.fail("a keyframe with references");
  if (keyframe && frame.hold != 1) start.fail("a keyframe that is not held in the first slot");
  if (!last) {
    const ByteReader at = reader;
    frame.ahead = static_cast<int>(reader.varint_up_to(kMaxAhead, "a frame's distance"));
    if (frame.ahead == 0) at.fail("two frames to show in one packet");
  }
  if (!keyframe) read_references(reader, frame);
  if (component.has_steps) read_steps(reader, component.layers, component.steps);
  return frame;
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
  return header_;
}

const PacketHeader& PacketReader::list_frames() {
  ByteReader& rest = rest_;
  frames_.clear();
  next_ = 0;
  const auto count = static_cast<size_t>(header_.frames);
  if (count == 0) rest.expect_end();
  for (size_t i = 0; i < count; ++i) {
    const bool last = i + 1 == count;
    ByteReader reader =
        last ? rest.part(rest.remaining()) : sized_part(rest, "frame " + std::to_string(i));
    const size_t size = reader.remaining();
    ComponentHeader component;
    const FrameHeader frame = read_frame_header(reader, header_.keyframe, last, component);
    if (frame.hold != 0) ++header_.held;
    if (frame.forth > 0) ++header_.b_frames;
    if (last) header_.layers = component.layers;
    if (last && component.has_steps) {
      header_.crf = crf_of_c(component.steps[static_cast<size_t>(component.layers - 1)]);
    }
    frames_.push_back({frame, component, std::move(reader), size});
  }
  return header_;
}

const FrameHeader& PacketReader::read_frame(std::span<const TileCounts> tiles) {
  const ListedFrame& frame = frames_[next_++];
  ByteReader rest = frame.rest;
  components_.resize(tiles.size());
  parts_.clear();
  ComponentHeader& first = components_.front().header;
  first = frame.first;
  ByteReader first_base = header_.keyframe ? read_base(rest, first.base) : rest.part(0);
  parts_.push_back({rest, std::move(first_base), tiles.front()});
  for (size_t i = 1; i < tiles.size(); ++i) {
    ByteReader body = sized_part(rest, "component " + std::to_string(i));
    ByteReader base = read_component(body, header_.keyframe, components_[i].header);
    parts_.push_back({std::move(body), std::move(base), tiles[i]});
  }
  // The sizes and payloads of the first component come last and extend to the end.
  parts_.front().body = rest.part(rest.remaining());
  return frame.header;
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
