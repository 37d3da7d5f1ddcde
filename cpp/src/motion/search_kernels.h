// The inner loops of the motion search that instruction sets have of their own. All give the same
// integers. Files compiled for an instruction set include nothing of the library but this header,
// which therefore holds declarations alone.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace bsq {

struct KernelTable;

struct SearchKernels {
  // satd_8x8() of two sub-blocks side by side.
  void (*satd_pair)(const uint8_t* a, ptrdiff_t a_stride, const uint8_t* b, ptrdiff_t b_stride,
                    uint16_t costs[2]);
  // satd_8x8_mean() of two sub-blocks side by side.
  void (*satd_pair_mean)(const uint8_t* a, ptrdiff_t a_stride, const uint8_t* b, const uint8_t* c,
                         ptrdiff_t stride, uint16_t costs[2]);
  // accumulate_sad() of four samples.
  void (*accumulate_sad4)(const uint8_t* a, const uint8_t* b, int count, uint16_t* sums);
  // The luma filters of interpolate.h, taps [8], for samples of 8 bits. src points at the first
  // tap. Sums along rows, unrounded:
  void (*filter_rows)(const uint8_t* src, ptrdiff_t src_stride, int16_t* dst, ptrdiff_t dst_stride,
                      int width, int height, const int16_t* taps);
  // along columns, of samples and of sums, to samples:
  void (*filter_columns)(const uint8_t* src, ptrdiff_t src_stride, uint8_t* dst,
                         ptrdiff_t dst_stride, int width, int height, const int16_t* taps);
  void (*filter_sums)(const int16_t* src, ptrdiff_t src_stride, uint8_t* dst, ptrdiff_t dst_stride,
                      int width, int height, const int16_t* taps);
};

extern const SearchKernels kSearchBase;
#ifdef BSQ_HAVE_AVX2
extern const SearchKernels kSearchAvx2;
#endif

// Those that go with a kernel set.
const SearchKernels& search_kernels(const KernelTable& set);

}  // namespace bsq
