// The layout of the AVX2 kernel for depthwise convolution.
#include <cstddef>

#include "kernels/packed.h"

namespace bsq {
namespace {

constexpr int kTaps = 25;
constexpr int kPairs = 13;
constexpr int kChannels = 16;

size_t round_up(int value, int multiple) {
  return static_cast<size_t>((value + multiple - 1) / multiple * multiple);
}

}  // namespace

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
