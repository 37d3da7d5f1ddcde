// Arrays of codes packed into bytes without gaps. An operator of research code (bsqav.ops).
//
// The codes, each from its lowest bit up, form one sequence of bits: bit i of code n, at L bits per
// code, is number n * L + i. Bit number k is bit k % 8 of byte k / 8, the lowest bit being 0. The
// last byte is filled up with zeros. For example the 3-bit codes 5, 1, 6 (101, 001, 110) are the
// bits 1 0 1 1 0 0 0 1 | 1 from lowest to highest, which are the bytes 8D 01.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace bsq {

// Bytes that `count` codes of `bits` bits take. Throws Error(BSQ_ERROR_ARGUMENT) unless
// 1 <= bits <= 64 and the number of bits fits in size_t.
size_t packed_size(size_t count, int bits);

// Throws Error(BSQ_ERROR_ARGUMENT) if a code has bits beyond `bits`.
std::vector<uint8_t> pack_bits(std::span<const uint64_t> codes, int bits);

// Fills `codes`. Throws Error(BSQ_ERROR_BITSTREAM) if the number of bytes is not exactly
// packed_size(codes.size(), bits) or padding bits are set.
void unpack_bits(std::span<const uint8_t> bytes, int bits, std::span<uint64_t> codes);

}  // namespace bsq
