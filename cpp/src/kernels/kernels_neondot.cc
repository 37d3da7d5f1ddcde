// Kernels for 64-bit Arm processors with the dot product instructions of Armv8.2 (FEAT_DotProd):
// linear layers of 8-bit input, depthwise convolution, and the set's table. Compiled with flags of
// its own: nothing but neon.h may be included here.
#include "kernels/neon.h"

namespace bsq {
namespace {

// Four products of bytes go into a 32-bit sum at once.
struct Product8 {
  using Values = int8x8_t;

  BSQ_INLINE static void load(const int8_t* x, Values& values) { values = vld1_s8(x); }

  template <int kR, int kQ>
  BSQ_INLINE static void add(const Values (&values)[kR], const int8_t* w, ptrdiff_t panel,
                             int32x4_t (&sums)[kR][kQ]) {
    four<0>(values, w, panel, sums);
    four<1>(values, w + 4 * kPanel, panel, sums);
  }

 private:
  // Four inputs: the first or the second half of the eight in `values`.
  template <int kHalf, int kR, int kQ>
  BSQ_INLINE static void four(const int8x8_t (&values)[kR], const int8_t* w, ptrdiff_t panel,
                              int32x4_t (&sums)[kR][kQ]) {
#pragma GCC unroll 4
    for (int q = 0; q < kQ; ++q) {
      const int8x16_t weights = vld1q_s8(w + q / 2 * panel + q % 2 * 16);
#pragma GCC unroll 4
      for (int r = 0; r < kR; ++r) {
        sums[r][q] = vdotq_lane_s32(sums[r][q], weights, values[r], kHalf);
      }
    }
  }
};

using Input8 = Input<int8_t, Product8>;

// ---- depthwise convolution ----

constexpr int kBlock = 16;    // channels whose inputs are interleaved at a time
constexpr int kColumns = 16;  // outputs for which they are
constexpr int kQuads = 7;     // products per output: 25 taps in fours

// Four vectors of 16 channels become four of 4 channels with four bytes each.
BSQ_INLINE void interleave(int8x16_t a, int8x16_t b, int8x16_t c, int8x16_t d, int8x16_t* out) {
  const int16x8_t low_ab = vreinterpretq_s16_s8(vzip1q_s8(a, b));
  const int16x8_t high_ab = vreinterpretq_s16_s8(vzip2q_s8(a, b));
  const int16x8_t low_cd = vreinterpretq_s16_s8(vzip1q_s8(c, d));
  const int16x8_t high_cd = vreinterpretq_s16_s8(vzip2q_s8(c, d));
  out[0] = vreinterpretq_s8_s16(vzip1q_s16(low_ab, low_cd));
  out[1] = vreinterpretq_s8_s16(vzip2q_s16(low_ab, low_cd));
  out[2] = vreinterpretq_s8_s16(vzip1q_s16(high_ab, high_cd));
  out[3] = vreinterpretq_s8_s16(vzip2q_s16(high_ab, high_cd));
}

// The inputs of up to kColumns outputs: for every column the upper four rows, and four neighbours
// of the last row from it on.
struct Columns {
  int8x16_t upper[kColumns + 4][4];
  int8x16_t last[kColumns + 4][4];
};

// 16 channels, or the 8 that are left.
template <bool kWhole>
BSQ_INLINE int8x16_t load_channels(const int8_t* from) {
  return kWhole ? vld1q_s8(from) : vcombine_s8(vld1_s8(from), vdup_n_s8(0));
}

template <bool kWhole>
void gather(const int8_t* x, ptrdiff_t row_stride, int channels, int columns, Columns& to) {
  const auto load = [&](int row, int column) __attribute__((always_inline)) {
    const ptrdiff_t token = static_cast<ptrdiff_t>(column - 2) * channels;
    return load_channels<kWhole>(x + (row - 2) * row_stride + token);
  };
  int8x16_t a = load(4, 0);
  int8x16_t b = load(4, 1);
  int8x16_t c = load(4, 2);
  for (int j = 0; j < columns + 4; ++j) {
    interleave(load(0, j), load(1, j), load(2, j), load(3, j), to.upper[j]);
    // Past the last column the weights are zero.
    const int8x16_t d = load(4, j + 3 < columns + 4 ? j + 3 : columns + 3);
    interleave(a, b, c, d, to.last[j]);
    a = b;
    b = c;
    c = d;
  }
}

// 4 channels of one output; `group` is their vector of the four in a column.
BSQ_INLINE int32x4_t convolve(const Columns& from, int t, int group, const int8x16_t (&w)[kQuads],
                              int32x4_t bias) {
  int32x4_t sum = vdotq_s32(bias, from.upper[t][group], w[0]);
  int32x4_t other = vdotq_s32(vdupq_n_s32(0), from.last[t][group], w[5]);
  sum = vdotq_s32(sum, from.upper[t + 1][group], w[1]);
  other = vdotq_s32(other, from.last[t + 4][group], w[6]);
  sum = vdotq_s32(sum, from.upper[t + 2][group], w[2]);
  other = vdotq_s32(other, from.upper[t + 3][group], w[3]);
  sum = vdotq_s32(sum, from.upper[t + 4][group], w[4]);
  return vaddq_s32(sum, other);
}

// 8 channels, from channel c on, of `columns` outputs with all weights in registers.
void convolve_columns(const DepthwiseView& layer, int c, const Columns& from, int columns,
                      int8_t* out, ptrdiff_t out_stride) {
  const int group = c % kBlock / 4;
  const int8_t* weights = layer.w + static_cast<ptrdiff_t>(c - c % kBlock) * kQuads * 4;
  int8x16_t first[kQuads];
  int8x16_t second[kQuads];
#pragma GCC unroll 7
  for (int i = 0; i < kQuads; ++i) {
    first[i] = vld1q_s8(weights + (i * 4 + group) * 16);
    second[i] = vld1q_s8(weights + (i * 4 + group + 1) * 16);
  }
  const Rq rq = make_rq(layer.shift);
  const int32x4_t bias[2] = {vld1q_s32(layer.b + c), vld1q_s32(layer.b + c + 4)};
  const int32x4_t m[2] = {vld1q_s32(layer.m + c), vld1q_s32(layer.m + c + 4)};
  for (int t = 0; t < columns; ++t) {
    const int32x4_t low = requantize(convolve(from, t, group, first, bias[0]), m[0], rq);
    const int32x4_t high = requantize(convolve(from, t, group + 1, second, bias[1]), m[1], rq);
    vst1_s8(out + t * out_stride + c, narrow8(narrow16(low, high)));
  }
}

void dwconv5_rq8(const DepthwiseView& layer, const int8_t* x, ptrdiff_t row_stride, int count,
                 int8_t* out, ptrdiff_t out_stride) {
  Columns columns;
  for (int t = 0; t < count; t += kColumns) {
    const int part = count - t < kColumns ? count - t : kColumns;
    const int8_t* from = x + static_cast<ptrdiff_t>(t) * layer.channels;
    int8_t* to = out + t * out_stride;
    int c = 0;
    for (; c + kBlock <= layer.channels; c += kBlock) {
      gather<true>(from + c, row_stride, layer.channels, part, columns);
      convolve_columns(layer, c, columns, part, to, out_stride);
      convolve_columns(layer, c + 8, columns, part, to, out_stride);
    }
    if (c < layer.channels) {
      gather<false>(from + c, row_stride, layer.channels, part, columns);
      convolve_columns(layer, c, columns, part, to, out_stride);
    }
  }
}

}  // namespace

const KernelTable kKernelsNeonDot =
    neon_table<Input8>("neondot", pack_linear_quads, pack_depthwise_quads, dwconv5_rq8);

}  // namespace bsq
