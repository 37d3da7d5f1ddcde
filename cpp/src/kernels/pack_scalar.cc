// Layouts that all kernel sets share, and those of the scalar one.
#include <algorithm>
#include <cstddef>

#include "kernels/packed.h"

namespace bsq {

AlignedVector<int32_t> padded_channels(const int32_t* values, int count) {
  constexpr size_t kMultiple = 64;
  const auto size = static_cast<size_t>(count);
  AlignedVector<int32_t> padded((size + kMultiple - 1) / kMultiple * kMultiple);
  if (values != nullptr) std::copy_n(values, size, padded.begin());
  return padded;
}

PackedRequant pack_requant(const int32_t* m, int channels, int shift) {
  return {shift, padded_channels(m, channels)};
}

PackedLinear pack_linear_scalar(const LinearSource& source) {
  const size_t size = static_cast<size_t>(source.n) * static_cast<size_t>(source.k);
  return {source.n,
          source.k,
          source.shift,
          AlignedVector<int8_t>(source.w, source.w + size),
          padded_channels(source.b, source.n),
          padded_channels(source.m, source.n)};
}

PackedDepthwise pack_depthwise_scalar(const DepthwiseSource& source) {
  const size_t size = 25 * static_cast<size_t>(source.channels);
  return {source.channels, source.shift, AlignedVector<int8_t>(source.w, source.w + size),
          padded_channels(source.b, source.channels), padded_channels(source.m, source.channels)};
}

}  // namespace bsq
