// The arithmetic of the response: what another value of a bit would do about the error of a decoded
// layer. For the processor and for devices; not normative.
#pragma once

#include <cmath>
#include <cstdint>

namespace bsq {

constexpr int kNeighbourhood = 9;  // a token and those around it, by rows
constexpr int kErrorLimit = 4096;  // Q8: larger errors of a token's samples count as that
constexpr int kGainsPerStep = 32;  // gains and energies are in 32nds of a squared step size
constexpr int kInertia = 3;        // of these a bit has to gain more to change

// What the decoder network's output leaves of a residual, Q8.
constexpr int response_error(int residual, int output) {
  const int error = residual - output;
  return error < -kErrorLimit ? -kErrorLimit : error > kErrorLimit ? kErrorLimit : error;
}

// The factor of response_latent(): a bit that gains lambda times what it costs is at the threshold
// of rdoq_bit().
inline int response_per_unit(double latent_per_bit, double lambda) {
  return static_cast<int>(std::lround(latent_per_bit / lambda / kGainsPerStep * 65536));
}

// The latent of a bit from 2 <response, error> (`gain`) and the squared response (`energy`): in
// 2^-16 of `per_unit`, the squared error with a 0 there minus that with a 1.
constexpr int8_t response_latent(int gain, int energy, bool one, int per_unit) {
  const int64_t own = energy + kInertia;
  const int64_t latent = ((gain + (one ? own : -own)) * per_unit + (1 << 15)) >> 16;
  return static_cast<int8_t>(latent < -127 ? -127 : latent > 127 ? 127 : latent);
}

}  // namespace bsq
