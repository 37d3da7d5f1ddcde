// Decodes the payloads of one packet into a picture.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "bitstream/packet.h"
#include "codec/picture_state.h"

namespace bsq {

// Payloads by block.
using PayloadSpans = std::vector<std::span<const uint8_t>>;

// `header` has its steps filled in; `base`: payloads of its base picture, if it has one. For a
// packet between keyframes the state holds the picture before. Afterwards state.current is the
// picture; the caller ends it. Throws Error(BSQ_ERROR_BITSTREAM) for damage, the message beginning
// with `what` and the byte; the state's reference is then untouched, all else in it needs a
// keyframe. `layers`: takes the tokens of every layer, or null.
void decode_picture(PictureState& state, const PacketHeader& header, const PayloadSpans& payloads,
                    const PayloadSpans& base, const uint8_t* packet, const std::string& what,
                    std::vector<TokenField>* layers);

}  // namespace bsq
