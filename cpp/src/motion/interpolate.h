// The separable interpolation filters of motion compensation (docs/bitstream.md, motion), as
// templates shared by the normative compensation and by the search.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "motion/interpolate_sse2.h"

namespace bsq {

inline constexpr int kLumaTaps = 8;
inline constexpr int kChromaTaps = 4;
inline constexpr int kFilterShift = 6;  // every filter sums to 64

// ITU-T H.265, tables 8-11 and 8-12: rows are the fraction, in quarters and in eighths of a
// sample; tap t of a filter with n taps weighs the sample at offset t - (n / 2 - 1).
inline constexpr int16_t kLumaFilter[4][kLumaTaps] = {{0, 0, 0, 64, 0, 0, 0, 0},
                                                      {-1, 4, -10, 58, 17, -5, 1, 0},
                                                      {-1, 4, -11, 40, 40, -11, 4, -1},
                                                      {0, 1, -5, 17, 58, -10, 4, -1}};
inline constexpr int16_t kChromaFilter[8][kChromaTaps] = {
    {0, 64, 0, 0},    {-2, 58, 10, -2}, {-4, 54, 16, -2}, {-6, 46, 28, -4},
    {-4, 36, 36, -4}, {-4, 28, 46, -6}, {-2, 16, 54, -4}, {-2, 10, 58, -2}};

// Samples have at most 15 bits: as int16_t they multiply without widening first.
template <typename T>
using FilterOperand = std::conditional_t<sizeof(T) <= 2, int16_t, T>;

// Sums along rows, unrounded: dst(x, y) = sum_t f[t] * src(x + t, y). `Mid` must hold the sums,
// which lie in [-24, 88] times the largest sample: int16_t does for 8 bits, not for 10.
template <int kTaps, typename Src, typename Mid>
void filter_rows(const Src* __restrict src, ptrdiff_t src_stride, Mid* __restrict dst,
                 ptrdiff_t dst_stride, int width, int height, const int16_t* f) {
  int16_t taps[kTaps];
  std::copy_n(f, kTaps, taps);
  for (int y = 0; y < height; ++y, src += src_stride, dst += dst_stride) {
    for (int x = 0; x < width; ++x) {
      int sum = 0;
      for (int t = 0; t < kTaps; ++t) sum += taps[t] * static_cast<FilterOperand<Src>>(src[x + t]);
      dst[x] = static_cast<Mid>(sum);
    }
  }
}

// Sums along columns, rounded by `shift` bits and clipped to [0, max]; src points at the first tap.
template <int kTaps, typename Src, typename Dst>
void filter_columns(const Src* __restrict src, ptrdiff_t src_stride, Dst* __restrict dst,
                    ptrdiff_t dst_stride, int width, int height, const int16_t* f, int shift,
                    int max) {
  int16_t taps[kTaps];
  std::copy_n(f, kTaps, taps);
  const int half = 1 << (shift - 1);
  for (int y = 0; y < height; ++y, src += src_stride, dst += dst_stride) {
    for (int x = 0; x < width; ++x) {
      int sum = half;
      for (int t = 0; t < kTaps; ++t) {
        sum += taps[t] * static_cast<FilterOperand<Src>>(src[x + t * src_stride]);
      }
      dst[x] = static_cast<Dst>(std::clamp(sum >> shift, 0, max));
    }
  }
}

// Sums along rows, rounded and clipped: what filter_rows and a centre tap of 64 give together.
template <int kTaps, typename Src, typename Dst>
void filter_rows_rounded(const Src* __restrict src, ptrdiff_t src_stride, Dst* __restrict dst,
                         ptrdiff_t dst_stride, int width, int height, const int16_t* f, int max) {
  int16_t taps[kTaps];
  std::copy_n(f, kTaps, taps);
  for (int y = 0; y < height; ++y, src += src_stride, dst += dst_stride) {
    for (int x = 0; x < width; ++x) {
      int sum = 1 << (kFilterShift - 1);
      for (int t = 0; t < kTaps; ++t) sum += taps[t] * static_cast<FilterOperand<Src>>(src[x + t]);
      dst[x] = static_cast<Dst>(std::clamp(sum >> kFilterShift, 0, max));
    }
  }
}

#ifdef __SSE2__

// A block of 8-bit samples that is not displaced by whole samples alone.
template <int kTaps, int kWidth>
void interpolate_wide(WideBlock block, bool whole_x, bool whole_y, const int16_t* fx,
                      const int16_t* fy) {
  constexpr int kBefore = kTaps / 2 - 1;
  if (!whole_x) block.src -= kBefore;
  if (!whole_y) block.src -= kBefore * block.src_stride;
  if (whole_x) {
    filter_once<kTaps, kWidth, kFilterShift>(block, fy, block.src_stride);
  } else if (whole_y) {
    filter_once<kTaps, kWidth, kFilterShift>(block, fx, 1);
  } else {
    filter_twice<kTaps, kWidth, kFilterShift>(block, fx, fy);
  }
}

#endif

// One block of at most 32x32 samples at a fraction; Mid as in filter_rows(). src points at the
// block's place in the reference, with kTaps / 2 - 1 readable samples before it and kTaps / 2 after
// it on both axes.
template <int kTaps, typename Mid>
void interpolate_block(const uint16_t* src, ptrdiff_t src_stride, uint16_t* dst,
                       ptrdiff_t dst_stride, int width, int height, const int16_t* fx,
                       const int16_t* fy, int max) {
  constexpr int kBefore = kTaps / 2 - 1;
  constexpr int kMaxSize = 32;
  const bool whole_x = fx[kBefore] == 1 << kFilterShift;
  const bool whole_y = fy[kBefore] == 1 << kFilterShift;
  if (whole_x && whole_y) {
    for (int y = 0; y < height; ++y) {
      std::copy_n(src + y * src_stride, width, dst + y * dst_stride);
    }
    return;
  }
#ifdef __SSE2__
  if constexpr (std::is_same_v<Mid, int16_t>) {
    const WideBlock block{src, src_stride, dst, dst_stride, width, height};
    if (width % 8 == 0) return interpolate_wide<kTaps, 8>(block, whole_x, whole_y, fx, fy);
    if (width % 4 == 0) return interpolate_wide<kTaps, 4>(block, whole_x, whole_y, fx, fy);
  }
#endif
  if (whole_x) {
    filter_columns<kTaps>(src - kBefore * src_stride, src_stride, dst, dst_stride, width, height,
                          fy, kFilterShift, max);
  } else if (whole_y) {
    filter_rows_rounded<kTaps>(src - kBefore, src_stride, dst, dst_stride, width, height, fx, max);
  } else {
    Mid sums[(kMaxSize + kTaps - 1) * kMaxSize];
    filter_rows<kTaps>(src - kBefore * src_stride - kBefore, src_stride, sums, kMaxSize, width,
                       height + kTaps - 1, fx);
    filter_columns<kTaps>(sums, kMaxSize, dst, dst_stride, width, height, fy, 2 * kFilterShift,
                          max);
  }
}

}  // namespace bsq
