// Writing, reading and checking the sequence header.
#include "bitstream/sequence_header.h"

#include <algorithm>
#include <utility>

#include "base/status.h"
#include "base/tokens.h"
#include "bitstream/limits.h"

namespace bsq {
namespace {

constexpr uint32_t kMaxRational = 0x7FFFFFFF;

[[noreturn]] void fail_unsupported(const std::string& what, size_t byte,
                                   const std::string& message) {
  throw Error(BSQ_ERROR_UNSUPPORTED, what + ", byte " + std::to_string(byte) + ": " + message);
}

void require(bool good, const char* message) {
  if (!good) throw Error(BSQ_ERROR_ARGUMENT, message);
}

bool is_code_point(int32_t value) { return value >= 0 && value <= 255; }

bool is_optional_ratio(const bsq_rational& r) { return r.num >= 0 && r.den >= 1; }

uint8_t format_byte(const bsq_sequence& info) {
  return static_cast<uint8_t>(info.chroma | ((info.bit_depth - 8) / 2) << 2 | info.alpha << 4 |
                              -info.chroma_crf_offset << 5);
}

uint8_t display_byte(const bsq_sequence& info) {
  return static_cast<uint8_t>(info.full_range | info.chroma_location << 2 |
                              (info.rotation / 90) << 6);
}

void write_ratio(const bsq_rational& r, ByteWriter& writer) {
  writer.varint(static_cast<uint32_t>(r.num));
  writer.varint(static_cast<uint32_t>(r.den));
}

bsq_rational read_ratio(ByteReader& reader, const char* name, bool zero_numerator) {
  bsq_rational r{};
  r.num = static_cast<int32_t>(reader.varint_up_to(kMaxRational, name));
  r.den = static_cast<int32_t>(reader.varint_up_to(kMaxRational, name));
  if (r.den == 0) reader.fail(std::string("the denominator of the ") + name + " is 0");
  if (r.num == 0 && !zero_numerator) {
    reader.fail(std::string("the numerator of the ") + name + " is 0");
  }
  return r;
}

void read_format(ByteReader& reader, const std::string& what, bsq_sequence& info) {
  const size_t at = reader.offset();
  const uint8_t format = reader.u8();
  info.chroma = format & 3;
  const int depth = (format >> 2) & 3;
  info.bit_depth = 8 + 2 * depth;
  info.alpha = (format >> 4) & 1;
  info.chroma_crf_offset = -(format >> 5);
  if (depth > 1) {
    fail_unsupported(what, at,
                     "frame format " + std::to_string(format) +
                         " is not one of this library's (8 and 10 bits; gray, 4:2:0, 4:2:2 and "
                         "4:4:4, with or without alpha); a newer library may read it");
  }
  if (info.chroma_crf_offset != 0 && info.chroma != BSQ_CHROMA_420) {
    throw Error(BSQ_ERROR_BITSTREAM, what + ", byte " + std::to_string(at) +
                                         ": a chroma crf offset, which 4:2:0 alone has");
  }
}

int32_t read_side(ByteReader& reader, const char* name) {
  const uint64_t side = reader.varint_up_to(kMaxFrameSide, name);
  if (side == 0) reader.fail(std::string(name) + " is 0");
  return static_cast<int32_t>(side);
}

void read_level(ByteReader& reader, bsq_sequence& info) {
  const int expected = frame_level(info);
  ByteReader ahead = reader;
  info.level = ahead.u8();
  if (info.level != expected) {
    reader.fail("level " + std::to_string(info.level) + " does not fit a frame of " +
                std::to_string(info.width) + "x" + std::to_string(info.height) +
                ", which has level " + std::to_string(expected));
  }
  reader = std::move(ahead);
}

void read_display(ByteReader& reader, bsq_sequence& info) {
  ByteReader ahead = reader;
  const int display = ahead.u8();
  info.full_range = display & 3;
  info.chroma_location = (display >> 2) & 15;
  info.rotation = 90 * (display >> 6);
  if (info.full_range > 2) reader.fail("the sample range is 3, it must be 0, 1 or 2");
  if (info.chroma_location > 6) {
    reader.fail("the chroma location is " + std::to_string(info.chroma_location) +
                ", it must be 0 to 6");
  }
  reader = std::move(ahead);
}

SequenceHeader read_fields(ByteReader& reader, const std::string& what) {
  SequenceHeader header;
  bsq_sequence& info = header.info;
  info.version = kCodestreamVersion;
  const size_t at = reader.offset();
  if (const int numerics = reader.u8(); numerics != kNumericsVersion) {
    fail_unsupported(what, at,
                     "version " + std::to_string(numerics) +
                         " of the networks' arithmetic; this library knows version " +
                         std::to_string(kNumericsVersion) + ", a newer one may read this stream");
  }
  read_format(reader, what, info);
  info.width = read_side(reader, "the frame's width");
  info.height = read_side(reader, "the frame's height");
  read_level(reader, info);
  info.time_base = read_ratio(reader, "time base", false);
  header.ticks_per_frame =
      static_cast<uint32_t>(reader.varint_up_to(kMaxTicksPerFrame, "ticks per frame"));
  info.frame_rate = read_ratio(reader, "frame rate", true);
  info.sample_aspect = read_ratio(reader, "sample aspect", true);
  info.color_primaries = reader.u8();
  info.color_transfer = reader.u8();
  info.color_matrix = reader.u8();
  read_display(reader, info);
  const auto id = reader.span(BSQ_MODEL_ID_SIZE);
  std::copy(id.begin(), id.end(), info.model_id);
  return header;
}

}  // namespace

int frame_level(const bsq_sequence& info) {
  const int64_t luma = static_cast<int64_t>(info.width) * info.height;
  const int64_t half = static_cast<int64_t>((info.width + 1) / 2) * info.height;
  int64_t samples = luma;
  if (info.chroma == BSQ_CHROMA_422) samples += 2 * half;
  if (info.chroma == BSQ_CHROMA_444) samples += 2 * luma;
  if (info.alpha != 0) samples += luma;
  int level = 0;
  while ((int64_t{1} << level) < samples) ++level;
  return level;
}

void check_sequence(const bsq_sequence& s) {
  require(s.width >= 1 && s.width <= kMaxFrameSide, "width must be 1 to 8192");
  require(s.height >= 1 && s.height <= kMaxFrameSide, "height must be 1 to 8192");
  require(s.chroma >= BSQ_CHROMA_GRAY && s.chroma <= BSQ_CHROMA_444,
          "chroma must be BSQ_CHROMA_GRAY, BSQ_CHROMA_420, BSQ_CHROMA_422 or BSQ_CHROMA_444");
  require(s.alpha == 0 || s.alpha == 1, "alpha must be 0 or 1");
  require(s.bit_depth == 8 || s.bit_depth == 10, "bit_depth must be 8 or 10");
  require(s.time_base.num >= 1 && s.time_base.den >= 1, "time_base must be positive");
  require(is_optional_ratio(s.frame_rate),
          "frame_rate must have a numerator of 0 or more and a positive denominator");
  require(is_optional_ratio(s.sample_aspect),
          "sample_aspect must have a numerator of 0 or more and a positive denominator");
  require(is_code_point(s.color_primaries), "color_primaries must be 0 to 255");
  require(is_code_point(s.color_transfer), "color_transfer must be 0 to 255");
  require(is_code_point(s.color_matrix), "color_matrix must be 0 to 255");
  require(s.full_range >= 0 && s.full_range <= 2, "full_range must be 0, 1 or 2");
  require(s.chroma_location >= 0 && s.chroma_location <= 6, "chroma_location must be 0 to 6");
  require(s.rotation == 0 || s.rotation == 90 || s.rotation == 180 || s.rotation == 270,
          "rotation must be 0, 90, 180 or 270");
}

uint32_t ticks_per_frame(const bsq_sequence& s) {
  if (s.frame_rate.num == 0) return 0;
  // Seconds per frame over seconds per tick: all four are below 2^31.
  const uint64_t numerator =
      static_cast<uint64_t>(s.frame_rate.den) * static_cast<uint64_t>(s.time_base.den);
  const uint64_t denominator =
      static_cast<uint64_t>(s.frame_rate.num) * static_cast<uint64_t>(s.time_base.num);
  const uint64_t ticks = (numerator + denominator / 2) / denominator;
  return ticks <= kMaxTicksPerFrame ? static_cast<uint32_t>(ticks) : 0;
}

void write_sequence_header(const SequenceHeader& header, ByteWriter& fields, ByteWriter& writer) {
  const bsq_sequence& s = header.info;
  fields.clear();
  fields.u8(kNumericsVersion);
  fields.u8(format_byte(s));
  fields.varint(static_cast<uint32_t>(s.width));
  fields.varint(static_cast<uint32_t>(s.height));
  fields.u8(static_cast<uint8_t>(frame_level(s)));
  write_ratio(s.time_base, fields);
  fields.varint(header.ticks_per_frame);
  write_ratio(s.frame_rate, fields);
  write_ratio(s.sample_aspect, fields);
  fields.u8(static_cast<uint8_t>(s.color_primaries));
  fields.u8(static_cast<uint8_t>(s.color_transfer));
  fields.u8(static_cast<uint8_t>(s.color_matrix));
  fields.u8(display_byte(s));
  fields.span(s.model_id);
  writer.span(kSequenceMagic);
  writer.u8(kCodestreamVersion);
  writer.varint(fields.size());
  writer.span(fields.bytes());
}

SequenceHeader parse_sequence_header(ByteReader& reader, const std::string& what) {
  ByteReader ahead = reader;
  const auto magic = ahead.span(kSequenceMagic.size());
  if (!std::equal(magic.begin(), magic.end(), kSequenceMagic.begin())) {
    reader.fail("the sequence header does not begin with BSQ1; this is no BSQ codestream");
  }
  const size_t at = ahead.offset();
  const int version = ahead.u8();
  if (version != kCodestreamVersion) {
    fail_unsupported(what, at,
                     "version " + std::to_string(version) +
                         " of the codestream; this library reads version " +
                         std::to_string(kCodestreamVersion) + ", a newer one may read this stream");
  }
  const uint64_t length = ahead.varint_up_to(ahead.remaining(), "the sequence header's length");
  ByteReader fields = ahead.part(static_cast<size_t>(length));
  const SequenceHeader header = read_fields(fields, what);
  reader = std::move(ahead);
  return header;
}

}  // namespace bsq
