// The operations of docs/numerics.md section 2 as a table of functions, one table per kernel set.
//
// Files that are compiled for an instruction set include nothing of the library but this header,
// which therefore holds declarations alone: no inline function may be emitted from there. (NEON
// files include neon.h too, whose functions are internal to each file.)
//
// All sets give the same integers; the scalar set is the oracle. Weights are packed by the set that
// uses them (packed.h). Contracts of all functions: the number of inputs k is a multiple of 8 and
// within the limits of numerics.md section 6, s8 values are never -128, s16 values never -32768,
// sums and multipliers keep the limits that model files are checked for; rows may be 0; strides
// count elements; outputs do not overlap inputs; nothing beyond the arrays named is read or
// written.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace bsq {

struct PackedLinear;
struct PackedDepthwise;
struct LinearSource;
struct DepthwiseSource;

// A linear layer in the layout of one kernel set.
struct LinearView {
  int n;             // outputs
  int k;             // inputs
  const int8_t* w;   // packed, 64-byte aligned
  const int32_t* b;  // with the corrections of the set, padded to a multiple of 64
  const int32_t* m;  // padded like b; not read by *_s32
  int shift;         // 32..62
};

// Multipliers per channel and their shift, padded to a multiple of 64 channels.
struct RequantView {
  const int32_t* m;
  int shift;
};

struct DepthwiseView {
  int channels;  // a multiple of 8
  const int8_t* w;
  const int32_t* b;
  const int32_t* m;
  int shift;
};

struct KernelTable {
  const char* name;

  PackedLinear (*pack_linear8)(const LinearSource& source);
  PackedLinear (*pack_linear16)(const LinearSource& source);
  PackedDepthwise (*pack_depthwise)(const DepthwiseSource& source);

  // out[t, 0..n) = linear8(x[t, 0..k)).
  void (*linear8_s32)(const LinearView& layer, const int8_t* x, ptrdiff_t x_stride, int rows,
                      int32_t* out, ptrdiff_t out_stride);
  // out = rq8(linear8(x)), through table[value + 128] where table is not null.
  void (*linear8_rq8)(const LinearView& layer, const int8_t* x, ptrdiff_t x_stride, int rows,
                      const int8_t* table, int8_t* out, ptrdiff_t out_stride);
  // out = rq16(linear8(x)); with add: out = add16(out, rq16(linear8(x))).
  void (*linear8_rq16)(const LinearView& layer, const int8_t* x, ptrdiff_t x_stride, int rows,
                       bool add, int16_t* out, ptrdiff_t out_stride);
  // The same with 16-bit input; k at most 256.
  void (*linear16_rq16)(const LinearView& layer, const int16_t* x, ptrdiff_t x_stride, int rows,
                        bool add, int16_t* out, ptrdiff_t out_stride);
  // out[t, c] = rq8(dwconv5(x))[t, c] for `count` neighbours of one row. x points at the first of
  // them in an array of rows `row_stride` apart with `channels` bytes per token; two tokens on
  // every side are read.
  void (*dwconv5_rq8)(const DepthwiseView& layer, const int8_t* x, ptrdiff_t row_stride, int count,
                      int8_t* out, ptrdiff_t out_stride);
  // out[t, c] = rq8(x[t, c]), through the table where it is not null.
  void (*requant8)(const RequantView& requant, int channels, const int16_t* x, ptrdiff_t x_stride,
                   int rows, const int8_t* table, int8_t* out, ptrdiff_t out_stride);

  // For measurements: multiply-adds of the kind that the set's products consist of, as many as the
  // processor can do, in registers alone. Writes 16 sums and returns the number of multiply-adds;
  // null in the scalar set.
  int64_t (*peak)(int64_t rounds, int32_t* sums);
};

// A table of the functions in scope that have the names of its members, and of what else a set has.
#define BSQ_KERNEL_TABLE(set, linear8, linear16, depthwise, measured) \
  {                                                                   \
      .name = (set),                                                  \
      .pack_linear8 = (linear8),                                      \
      .pack_linear16 = (linear16),                                    \
      .pack_depthwise = (depthwise),                                  \
      .linear8_s32 = linear8_s32,                                     \
      .linear8_rq8 = linear8_rq8,                                     \
      .linear8_rq16 = linear8_rq16,                                   \
      .linear16_rq16 = linear16_rq16,                                 \
      .dwconv5_rq8 = dwconv5_rq8,                                     \
      .requant8 = requant8,                                           \
      .peak = (measured),                                             \
  }

// How the sets pack.

// [n, k] and [25, channels] as they are.
PackedLinear pack_linear_scalar(const LinearSource& source);
PackedDepthwise pack_depthwise_scalar(const DepthwiseSource& source);

// Panels of 8 outputs with pairs of inputs, [n/8][k/2][8][2], or four inputs, [n/8][k/4][8][4].
PackedLinear pack_linear_pairs(const LinearSource& source);
PackedLinear pack_linear_quads(const LinearSource& source);

// As the pairs of taps that one multiply-add of AVX2 takes, [channels/16][13][16][2], the last pair
// with a zero.
PackedDepthwise pack_depthwise_avx2(const DepthwiseSource& source);

// Panels of 16 outputs, [n/16][k/4][16][4] (16-bit input: [n/16][k/2][16][2]). Four panels make a
// block of 64 outputs; in whole blocks, output 16 l + 4 i + e of the block is lane 4 l + e of panel
// i, the order that packing 32-bit vectors into one of bytes undoes. Biases of 8-bit layers hold
// -128 * sum of weights, since the kernels add 128 to their input.
PackedLinear pack_linear8_vnni(const LinearSource& source);
PackedLinear pack_linear16_vnni(const LinearSource& source);
// [channels/64][4 panels][7][16][4], channels in the order above: the five columns of the upper
// four rows, the first four taps of the last row, and its fifth.
PackedDepthwise pack_depthwise_vnni(const DepthwiseSource& source);
// The same with channels as they come, [channels/16][7][16][4].
PackedDepthwise pack_depthwise_quads(const DepthwiseSource& source);

int64_t peak_avx2(int64_t rounds, int32_t* sums);
int64_t peak_avx512vnni(int64_t rounds, int32_t* sums);

extern const KernelTable kKernelsScalar;
#ifdef BSQ_HAVE_AVX2
extern const KernelTable kKernelsAvx2;
#endif
#ifdef BSQ_HAVE_AVX512VNNI
extern const KernelTable kKernelsAvx512Vnni;
#endif
#ifdef BSQ_HAVE_NEON
extern const KernelTable kKernelsNeon;
#endif
#ifdef BSQ_HAVE_NEONDOT
extern const KernelTable kKernelsNeonDot;
#endif

}  // namespace bsq
