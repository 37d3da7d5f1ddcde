// The sequence header, which begins every keyframe packet and is a container's private data.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "bitstream/limits.h"
#include "bsq/bsq.h"

namespace bsq {

inline constexpr std::array<uint8_t, 4> kSequenceMagic = {'B', 'S', 'Q', '1'};

struct SequenceHeader {
  bsq_sequence info{};
  uint32_t ticks_per_frame = 0;  // 0 when unknown
};

// Smallest n with s <= 2^n, s being the samples of all components; for sides of 1 .. 8192.
int frame_level(const bsq_sequence& info);

// Throws Error(BSQ_ERROR_ARGUMENT) naming the field that a header cannot carry. Level, version,
// model id and chroma crf offset are not looked at.
void check_sequence(const bsq_sequence& info);

// Ticks from one frame to the next by frame rate and time base, rounded; 0 if unknown, or more
// than the header can carry.
uint32_t ticks_per_frame(const bsq_sequence& info);

// Level and version are written as they follow from the other fields and from this library.
void write_sequence_header(const SequenceHeader& header, ByteWriter& fields, ByteWriter& writer);

// Reads and checks everything. `what` names the whole in messages. Throws BSQ_ERROR_UNSUPPORTED for
// versions and formats that this library does not have, else the reader's error.
SequenceHeader parse_sequence_header(ByteReader& reader, const std::string& what);

}  // namespace bsq
