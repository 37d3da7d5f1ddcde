// Bit packing through a 64-bit accumulator.
#include "quantizer/pack.h"

#include <algorithm>
#include <limits>
#include <string>

#include "base/status.h"
#include "quantizer/sphere.h"

namespace bsq {

size_t packed_size(size_t count, int bits) {
  check_code_bits(bits);
  if (count > (std::numeric_limits<size_t>::max() - 7) / static_cast<size_t>(bits)) {
    throw Error(BSQ_ERROR_ARGUMENT, "too many codes to pack: " + std::to_string(count));
  }
  return (count * static_cast<size_t>(bits) + 7) / 8;
}

std::vector<uint8_t> pack_bits(std::span<const uint64_t> codes, int bits) {
  std::vector<uint8_t> bytes;
  bytes.reserve(packed_size(codes.size(), bits));
  uint64_t held = 0;  // the low `fill` bits wait to be written, fill < 8
  int fill = 0;
  for (size_t n = 0; n < codes.size(); ++n) {
    const uint64_t code = codes[n];
    if ((code & ~code_mask(bits)) != 0) {
      throw Error(BSQ_ERROR_ARGUMENT, "code " + std::to_string(n) + " is " + std::to_string(code) +
                                          ", which has more than " + std::to_string(bits) +
                                          " bits");
    }
    // Up to 71 bits: those that the shift pushes out of the word follow after its 8 bytes.
    const uint64_t word = held | (code << fill);
    const uint64_t above = fill == 0 ? 0 : code >> (64 - fill);
    const int whole = (fill + bits) / 8;
    for (int i = 0; i < whole; ++i) bytes.push_back(static_cast<uint8_t>(word >> (8 * i)));
    held = whole == 8 ? above : word >> (8 * whole);
    fill = (fill + bits) % 8;
  }
  if (fill > 0) bytes.push_back(static_cast<uint8_t>(held));
  return bytes;
}

void unpack_bits(std::span<const uint8_t> bytes, int bits, std::span<uint64_t> codes) {
  const size_t size = packed_size(codes.size(), bits);
  if (bytes.size() != size) {
    throw Error(BSQ_ERROR_BITSTREAM,
                "packed codes have the wrong size: " + std::to_string(codes.size()) + " codes of " +
                    std::to_string(bits) + " bits take " + std::to_string(size) +
                    " bytes, there are " + std::to_string(bytes.size()));
  }
  size_t position = 0;  // of the next byte
  uint64_t held = 0;    // the low `fill` bits of the last byte that are not used yet
  int fill = 0;
  for (uint64_t& code : codes) {
    uint64_t value = held;
    int have = fill;
    uint64_t last = held;  // the byte that the top bits of the code come from
    int last_at = 0;       // and where in the code its lowest bit stands
    while (have < bits) {
      last = bytes[position++];
      last_at = have;
      value |= last << have;
      have += 8;
    }
    code = value & code_mask(bits);
    held = last >> (bits - last_at);
    fill = have - bits;
  }
  if (held != 0) {
    throw Error(BSQ_ERROR_BITSTREAM, "packed codes are damaged: padding bits in byte " +
                                         std::to_string(size - 1) + " are set");
  }
}

}  // namespace bsq
