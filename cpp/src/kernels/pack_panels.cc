// Layouts of linear layers in panels of 8 outputs: AVX2 and NEON.
#include <cstddef>

#include "kernels/packed.h"

namespace bsq {
namespace {

constexpr int kPanel = 8;

// `group` inputs of an output side by side.
PackedLinear pack_linear(const LinearSource& source, int group) {
  const int padded = (source.n + kPanel - 1) / kPanel * kPanel;
  PackedLinear packed{
      source.n,
      source.k,
      source.shift,
      AlignedVector<int8_t>(static_cast<size_t>(padded) * static_cast<size_t>(source.k)),
      padded_channels(source.b, source.n),
      padded_channels(source.m, source.n)};
  for (int n = 0; n < source.n; ++n) {
    for (int k = 0; k < source.k; ++k) {
      const int at = n / kPanel * kPanel * source.k + k / group * group * kPanel +
                     n % kPanel * group + k % group;
      packed.w[static_cast<size_t>(at)] = source.w[n * source.k + k];
    }
  }
  return packed;
}

}  // namespace

PackedLinear pack_linear_pairs(const LinearSource& source) { return pack_linear(source, 2); }

PackedLinear pack_linear_quads(const LinearSource& source) { return pack_linear(source, 4); }

}  // namespace bsq
