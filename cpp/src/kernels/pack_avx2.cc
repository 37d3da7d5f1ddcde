// Layouts of the AVX2 kernels.
#include <cstddef>

#include "kernels/packed.h"

namespace bsq {
namespace {

constexpr int kPanel = 8;
constexpr int kTaps = 25;
constexpr int kPairs = 13;
constexpr int kChannels = 16;

size_t round_up(int value, int multiple) {
  return static_cast<size_t>((value + multiple - 1) / multiple * multiple);
}

}  // namespace

PackedLinear pack_linear_avx2(const LinearSource& source) {
  PackedLinear packed{
      source.n,
      source.k,
      source.shift,
      AlignedVector<int8_t>(round_up(source.n, kPanel) * static_cast<size_t>(source.k)),
      padded_channels(source.b, source.n),
      padded_channels(source.m, source.n)};
  for (int n = 0; n < source.n; ++n) {
    for (int k = 0; k < source.k; ++k) {
      const int at = n / kPanel * kPanel * source.k + k / 2 * 2 * kPanel + n % kPanel * 2 + k % 2;
      packed.w[static_cast<size_t>(at)] = source.w[n * source.k + k];
    }
  }
  return packed;
}

PackedDepthwise pack_depthwise_avx2(const DepthwiseSource& source) {
  PackedDepthwise packed{source.channels, source.shift,
                         AlignedVector<int8_t>(round_up(source.channels, kChannels) * kPairs * 2),
                         padded_channels(source.b, source.channels),
                         padded_channels(source.m, source.channels)};
  for (int c = 0; c < source.channels; ++c) {
    for (int tap = 0; tap < kTaps; ++tap) {
      const int pair = c / kChannels * kPairs + tap / 2;
      const int at = (pair * kChannels + c % kChannels) * 2 + tap % 2;
      packed.w[static_cast<size_t>(at)] = source.w[tap * source.channels + c];
    }
  }
  return packed;
}

}  // namespace bsq
