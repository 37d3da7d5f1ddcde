// Layouts of the AVX-512 VNNI kernels, and that of four taps side by side, which NEON uses too.
#include <cstddef>

#include "kernels/packed.h"

namespace bsq {
namespace {

constexpr int kPanel = 16;
constexpr int kBlock = 64;
constexpr int kSide = 5;
constexpr int kQuads = 7;

// The place of channel c among `count` channels whose whole blocks of 64 are in the order that the
// packing instructions undo.
int place(int c, int count) {
  const int first = c / kBlock * kBlock;
  if (first + kBlock > count) return c;
  const int in_block = c - first;
  const int lane = in_block / 16;
  const int panel = in_block / 4 % 4;
  return first + panel * kPanel + lane * 4 + in_block % 4;
}

// Adding 128 to every input adds 128 * sum of weights to the sum, modulo 2^32.
int32_t corrected(int32_t bias, int32_t weights) {
  return static_cast<int32_t>(static_cast<uint32_t>(bias) - 128U * static_cast<uint32_t>(weights));
}

// `group` inputs side by side; `offset`: the input is shifted by 128.
PackedLinear pack_linear(const LinearSource& source, int group, bool offset) {
  const int padded = (source.n + kPanel - 1) / kPanel * kPanel;
  PackedLinear packed{
      source.n,
      source.k,
      source.shift,
      AlignedVector<int8_t>(static_cast<size_t>(padded) * static_cast<size_t>(source.k)),
      padded_channels(nullptr, source.n),
      padded_channels(nullptr, source.n)};
  for (int n = 0; n < source.n; ++n) {
    const int p = place(n, source.n);
    int32_t sum = 0;
    for (int k = 0; k < source.k; ++k) {
      const int8_t weight = source.w[n * source.k + k];
      const int at = p / kPanel * kPanel * source.k + k / group * group * kPanel +
                     p % kPanel * group + k % group;
      packed.w[static_cast<size_t>(at)] = weight;
      sum += weight;
    }
    const int32_t bias = source.b != nullptr ? source.b[n] : 0;
    packed.b[static_cast<size_t>(p)] = offset ? corrected(bias, sum) : bias;
    if (source.m != nullptr) packed.m[static_cast<size_t>(p)] = source.m[n];
  }
  return packed;
}

// `offset`: the input is shifted by 128, and channels stand in the order that packing undoes.
PackedDepthwise pack_depthwise(const DepthwiseSource& source, bool offset) {
  const int padded = (source.channels + kBlock - 1) / kBlock * kBlock;
  PackedDepthwise packed{source.channels, source.shift,
                         AlignedVector<int8_t>(static_cast<size_t>(padded) * kQuads * 4),
                         padded_channels(nullptr, source.channels),
                         padded_channels(nullptr, source.channels)};
  for (int c = 0; c < source.channels; ++c) {
    const int p = offset ? place(c, padded) : c;
    int32_t sum = 0;
    for (int i = 0; i < kSide; ++i) {
      for (int j = 0; j < kSide; ++j) {
        const int8_t weight = source.w[(i * kSide + j) * source.channels + c];
        const int quad = i < 4 ? j : 5 + j / 4;
        const int slot = i < 4 ? i : j % 4;
        const int at = ((p / kPanel * kQuads + quad) * kPanel + p % kPanel) * 4 + slot;
        packed.w[static_cast<size_t>(at)] = weight;
        sum += weight;
      }
    }
    const int32_t bias = source.b != nullptr ? source.b[c] : 0;
    packed.b[static_cast<size_t>(p)] = offset ? corrected(bias, sum) : bias;
    packed.m[static_cast<size_t>(p)] = source.m[c];
  }
  return packed;
}

}  // namespace

PackedLinear pack_linear8_vnni(const LinearSource& source) { return pack_linear(source, 4, true); }

PackedLinear pack_linear16_vnni(const LinearSource& source) {
  return pack_linear(source, 2, false);
}

PackedDepthwise pack_depthwise_vnni(const DepthwiseSource& source) {
  return pack_depthwise(source, true);
}

PackedDepthwise pack_depthwise_quads(const DepthwiseSource& source) {
  return pack_depthwise(source, false);
}

}  // namespace bsq
