// Weights in the layouts that kernel sets want. Not for files with instruction set flags.
#pragma once

#include <cstdint>

#include "kernels/aligned.h"
#include "kernels/kernel_table.h"

namespace bsq {

// A linear layer as the model file has it. `b` and `m` may be null: all 0.
struct LinearSource {
  int n = 0;
  int k = 0;                   // a multiple of 8
  const int8_t* w = nullptr;   // [n, k]
  const int32_t* b = nullptr;  // [n]
  const int32_t* m = nullptr;  // [n]
  int shift = 32;
};

struct DepthwiseSource {
  int channels = 0;            // a multiple of 8
  const int8_t* w = nullptr;   // [25, channels]
  const int32_t* b = nullptr;  // [channels], may be null
  const int32_t* m = nullptr;  // [channels]
  int shift = 32;
};

struct PackedLinear {
  int n = 0;
  int k = 0;
  int shift = 32;
  AlignedVector<int8_t> w;
  AlignedVector<int32_t> b;
  AlignedVector<int32_t> m;

  LinearView view() const { return {n, k, w.data(), b.data(), m.data(), shift}; }
};

struct PackedDepthwise {
  int channels = 0;
  int shift = 32;
  AlignedVector<int8_t> w;
  AlignedVector<int32_t> b;
  AlignedVector<int32_t> m;

  DepthwiseView view() const { return {channels, w.data(), b.data(), m.data(), shift}; }
};

// Multipliers of a requantization; all kernel sets share this layout.
struct PackedRequant {
  int shift = 32;
  AlignedVector<int32_t> m;

  RequantView view() const { return {m.data(), shift}; }
};

// `count` values and zeros up to a multiple of 64; all zeros where values is null.
AlignedVector<int32_t> padded_channels(const int32_t* values, int count);

PackedRequant pack_requant(const int32_t* m, int channels, int shift);

}  // namespace bsq
