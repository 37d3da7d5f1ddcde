// Binary spherical quantization: vectors to signs on the unit sphere and back (arXiv:2406.07548).
// An operator of research code (bsqav.ops); the codec quantizes integers, see
// codec/encoder/mode/quantization.h.
//
// A vector z of L numbers is projected to u = z / |z|. Its code has bit i set where u_i >= 0, so
// that sign(0) = +1, for -0.0 too. The quantized vector is +1/sqrt(L) where the bit is set and
// -1/sqrt(L) elsewhere: one of the 2^L corners of the cube inscribed in the sphere. A vector of
// norm zero has no direction; it projects to (1, ..., 1)/sqrt(L), which agrees with its signs.
#pragma once

#include <cstdint>

namespace bsq {

constexpr int kMaxCodeBits = 64;

// Throws Error(BSQ_ERROR_ARGUMENT) unless 1 <= bits <= 64.
void check_code_bits(int bits);

// The lowest `bits` bits set, for 1 .. 64.
constexpr uint64_t code_mask(int bits) { return ~uint64_t{0} >> (kMaxCodeBits - bits); }

// The code of z[0 .. bits), z[i] deciding bit i. Throws Error(BSQ_ERROR_ARGUMENT) if an element is
// not finite: it comes from a broken network and has no quantization.
uint64_t quantize(const float* z, int bits);

// u = z / |z| into u[0 .. bits), computed in double precision without overflow or underflow.
// Throws as quantize does.
void project(const float* z, int bits, float* u);

// The value 1/sqrt(bits), the same on every machine (division and root are exact in IEEE 754).
float corner(int bits);

// The corner that a code stands for into u[0 .. bits). Throws Error(BSQ_ERROR_ARGUMENT) if the code
// has bits beyond `bits`.
void dequantize(uint64_t code, int bits, float* u);

}  // namespace bsq
