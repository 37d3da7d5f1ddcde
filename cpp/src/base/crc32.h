// CRC-32 of IEEE 802.3 (as in zlib and PNG), the checksum of packets.
#pragma once

#include <cstdint>
#include <span>

namespace bsq {

// The checksum of `bytes`. To go on with a checksum over earlier bytes, give it as `previous`:
// crc32(b, crc32(a)) is the checksum of a followed by b.
uint32_t crc32(std::span<const uint8_t> bytes, uint32_t previous = 0);

}  // namespace bsq
