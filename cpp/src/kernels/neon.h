// What the files of the two NEON sets share: tiles of linear layers, requantization, and where a
// tile's sums go.
//
// Those files are compiled for different instruction sets, so all functions here are internal to
// the file that includes them, and nothing but kernel_table.h and intrinsics is included.
#pragma once

#include <arm_neon.h>

#include "kernels/kernel_table.h"

namespace bsq {

// Kernels that are the same in both sets, for every 64-bit Arm processor.
void linear16_rq16_neon(const LinearView& layer, const int16_t* x, ptrdiff_t x_stride, int rows,
                        bool add, int16_t* out, ptrdiff_t out_stride);
void requant8_neon(const RequantView& requant, int channels, const int16_t* x, ptrdiff_t x_stride,
                   int rows, const int8_t* table, int8_t* out, ptrdiff_t out_stride);

namespace {

#define BSQ_INLINE inline __attribute__((always_inline))

constexpr int kPanel = 8;  // outputs whose weights stand together: two registers of sums
constexpr int kPair = 16;  // outputs of a tile: two panels
constexpr int kRows = 4;   // rows of a tile: 16 sums, and as many registers for all else

struct Rq {
  int64x2_t round;
  int32x4_t shift;  // what is left after the upper half of the product was taken, to the left
};

BSQ_INLINE Rq make_rq(int shift) {
  return {vdupq_n_s64(int64_t{1} << (shift - 1)), vdupq_n_s32(32 - shift)};
}

// rq() of 4 sums; the result fits in 31 bits, since |a * m| < 2^62 and the shift is at least 32.
BSQ_INLINE int32x4_t requantize(int32x4_t sum, int32x4_t m, const Rq& rq) {
  const int64x2_t low = vmlal_s32(rq.round, vget_low_s32(sum), vget_low_s32(m));
  const int64x2_t high = vmlal_high_s32(rq.round, sum, m);
  const int32x4_t upper = vuzp2q_s32(vreinterpretq_s32_s64(low), vreinterpretq_s32_s64(high));
  return vshlq_s32(upper, rq.shift);
}

// 8 values of 32 bits to 16 bits, within -32767..32767.
BSQ_INLINE int16x8_t narrow16(int32x4_t a, int32x4_t b) {
  return vmaxq_s16(vqmovn_high_s32(vqmovn_s32(a), b), vdupq_n_s16(-32767));
}

// 8 values of 16 bits to bytes, within -127..127.
BSQ_INLINE int8x8_t narrow8(int16x8_t x) { return vmax_s8(vqmovn_s16(x), vdup_n_s8(-127)); }

// table[x + 128] of 16 values at a time.
struct Table {
  int8x16x4_t part[4];

  BSQ_INLINE explicit Table(const int8_t* table)
      : part{vld1q_s8_x4(table), vld1q_s8_x4(table + 64), vld1q_s8_x4(table + 128),
             vld1q_s8_x4(table + 192)} {}

  // Indices outside of a part give 0 with tbl and change nothing with tbx.
  BSQ_INLINE int8x16_t look_up(int8x16_t x) const {
    const uint8x16_t i = vreinterpretq_u8_s8(veorq_s8(x, vdupq_n_s8(-128)));
    int8x16_t y = vqtbl4q_s8(part[0], i);
    y = vqtbx4q_s8(y, part[1], vsubq_u8(i, vdupq_n_u8(64)));
    y = vqtbx4q_s8(y, part[2], vsubq_u8(i, vdupq_n_u8(128)));
    return vqtbx4q_s8(y, part[3], vsubq_u8(i, vdupq_n_u8(192)));
  }
};

// Where a tile's sums go: rows t to t + kR, `count` outputs from output n on, of which the tile
// holds 4 kQ.
struct SumsOut {
  static constexpr bool kRequantize = false;
  int32_t* out;
  ptrdiff_t stride;

  template <int kR, int kQ>
  BSQ_INLINE void store(int t, int n, int count, const int32x4_t (&sums)[kR][kQ]) const {
#pragma GCC unroll 4
    for (int r = 0; r < kR; ++r) {
      int32_t* to = out + (t + r) * stride + n;
      int32_t part[4 * kQ];
      int32_t* whole = count >= 4 * kQ ? to : part;
#pragma GCC unroll 4
      for (int q = 0; q < kQ; ++q) vst1q_s32(whole + 4 * q, sums[r][q]);
      for (int i = 0; whole == part && i < count; ++i) to[i] = part[i];
    }
  }
};

struct Rq8Out {
  static constexpr bool kRequantize = true;
  int8_t* out;
  ptrdiff_t stride;
  const int8_t* table;  // may be null

  template <int kR, int kQ>
  BSQ_INLINE void store(int t, int n, int count, const int32x4_t (&sums)[kR][kQ]) const {
    int8x16_t bytes[kR];
#pragma GCC unroll 4
    for (int r = 0; r < kR; ++r) {
      const int8x8_t low = narrow8(narrow16(sums[r][0], sums[r][1]));
      bytes[r] = vcombine_s8(low, narrow8(narrow16(sums[r][kQ - 2], sums[r][kQ - 1])));
    }
    if (table != nullptr) {
      const Table values(table);
#pragma GCC unroll 4
      for (int r = 0; r < kR; ++r) bytes[r] = values.look_up(bytes[r]);
    }
#pragma GCC unroll 4
    for (int r = 0; r < kR; ++r) store_row<kQ>(bytes[r], count, out + (t + r) * stride + n);
  }

 private:
  template <int kQ>
  BSQ_INLINE static void store_row(int8x16_t bytes, int count, int8_t* to) {
    if (count >= kPair && kQ == 4) {
      vst1q_s8(to, bytes);
    } else if (count >= kPanel && kQ == 2) {
      vst1_s8(to, vget_low_s8(bytes));
    } else {
      int8_t part[kPair];
      vst1q_s8(part, bytes);
      for (int i = 0; i < count; ++i) to[i] = part[i];
    }
  }
};

struct Rq16Out {
  static constexpr bool kRequantize = true;
  int16_t* out;
  ptrdiff_t stride;
  bool add;

  template <int kR, int kQ>
  BSQ_INLINE void store(int t, int n, int count, const int32x4_t (&sums)[kR][kQ]) const {
#pragma GCC unroll 4
    for (int r = 0; r < kR; ++r) {
      int16_t* to = out + (t + r) * stride + n;
#pragma GCC unroll 2
      for (int q = 0; q < kQ; q += 2) {
        const int left = count - 4 * q;
        store_panel(narrow16(sums[r][q], sums[r][q + 1]), left, to + 4 * q);
      }
    }
  }

 private:
  BSQ_INLINE int16x8_t joined(int16x8_t y, const int16_t* to) const {
    return add ? vmaxq_s16(vqaddq_s16(vld1q_s16(to), y), vdupq_n_s16(-32767)) : y;
  }
  BSQ_INLINE void store_panel(int16x8_t y, int count, int16_t* to) const {
    if (count >= kPanel) {
      vst1q_s16(to, joined(y, to));
      return;
    }
    int16_t part[kPanel] = {};
    for (int i = 0; add && i < count; ++i) part[i] = to[i];
    vst1q_s16(part, joined(y, part));
    for (int i = 0; i < count; ++i) to[i] = part[i];
  }
};

// Rows of inputs of type T, taken eight at a time. Product has
//     load(x, values): eight inputs of a row to Values
//     add(values, w, panel, sums): adds the products of kR rows of them to sums[kR][kQ].
template <class T, class Product>
struct Input {
  const T* x;
  ptrdiff_t stride;

  template <int kR, int kQ>
  BSQ_INLINE void accumulate(const LinearView& layer, int n, int t,
                             int32x4_t (&sums)[kR][kQ]) const {
    const int8_t* w = layer.w + static_cast<ptrdiff_t>(n) * layer.k;
    const ptrdiff_t panel = static_cast<ptrdiff_t>(kPanel) * layer.k;
    for (int k = 0; k < layer.k; k += 8, w += 8 * kPanel) {
      typename Product::Values values[kR];
#pragma GCC unroll 4
      for (int r = 0; r < kR; ++r) Product::load(x + (t + r) * stride + k, values[r]);
      Product::add(values, w, panel, sums);
    }
  }
};

// kR rows by kP panels. Input has x, stride and
//     accumulate(layer, n, t, sums): adds the products of rows t to t + kR to sums[kR][2 kP].
template <int kR, int kP, class Input, class Output>
void tile(const LinearView& layer, int n, const Input& input, int t, const Output& output) {
  int32x4_t sums[kR][2 * kP];
#pragma GCC unroll 4
  for (int q = 0; q < 2 * kP; ++q) {
    const int32x4_t bias = vld1q_s32(layer.b + n + 4 * q);
#pragma GCC unroll 4
    for (int r = 0; r < kR; ++r) sums[r][q] = bias;
  }
  input.accumulate(layer, n, t, sums);
  if constexpr (Output::kRequantize) {
    const Rq rq = make_rq(layer.shift);
#pragma GCC unroll 4
    for (int q = 0; q < 2 * kP; ++q) {
      const int32x4_t m = vld1q_s32(layer.m + n + 4 * q);
#pragma GCC unroll 4
      for (int r = 0; r < kR; ++r) sums[r][q] = requantize(sums[r][q], m, rq);
    }
  }
  output.store(t, n, layer.n - n, sums);
}

template <int kP, class Input, class Output>
void panels(const LinearView& layer, int n, const Input& input, int rows, const Output& output) {
  int t = 0;
  for (; t + kRows <= rows; t += kRows) tile<kRows, kP>(layer, n, input, t, output);
  switch (rows - t) {
    case 3:
      return tile<3, kP>(layer, n, input, t, output);
    case 2:
      return tile<2, kP>(layer, n, input, t, output);
    case 1:
      return tile<1, kP>(layer, n, input, t, output);
    default:
      return;
  }
}

// Panels outside, so that their weights stay in the first-level cache for all rows.
template <class Input, class Output>
void linear(const LinearView& layer, const Input& input, int rows, const Output& output) {
  int n = 0;
  for (; layer.n - n > kPanel; n += kPair) panels<2>(layer, n, input, rows, output);
  if (n < layer.n) panels<1>(layer, n, input, rows, output);
}

// The table's functions for 8-bit input.
template <class Input>
void linear8_s32(const LinearView& layer, const int8_t* x, ptrdiff_t x_stride, int rows,
                 int32_t* out, ptrdiff_t out_stride) {
  linear(layer, Input{x, x_stride}, rows, SumsOut{out, out_stride});
}

template <class Input>
void linear8_rq8(const LinearView& layer, const int8_t* x, ptrdiff_t x_stride, int rows,
                 const int8_t* table, int8_t* out, ptrdiff_t out_stride) {
  linear(layer, Input{x, x_stride}, rows, Rq8Out{out, out_stride, table});
}

template <class Input>
void linear8_rq16(const LinearView& layer, const int8_t* x, ptrdiff_t x_stride, int rows, bool add,
                  int16_t* out, ptrdiff_t out_stride) {
  linear(layer, Input{x, x_stride}, rows, Rq16Out{out, out_stride, add});
}

// The table of a set whose Input multiplies bytes.
template <class Input>
consteval KernelTable neon_table(const char* name, decltype(KernelTable::pack_linear8) pack_linear8,
                                 decltype(KernelTable::pack_depthwise) pack_depthwise,
                                 decltype(KernelTable::dwconv5_rq8) dwconv5_rq8) {
  return {name,
          pack_linear8,
          pack_linear_pairs,
          pack_depthwise,
          linear8_s32<Input>,
          linear8_rq8<Input>,
          linear8_rq16<Input>,
          linear16_rq16_neon,
          dwconv5_rq8,
          requant8_neon,
          nullptr};
}

}  // namespace
}  // namespace bsq
