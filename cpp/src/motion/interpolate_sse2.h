// The interpolation of blocks of 8-bit samples, several times faster than what compilers make of
// the loops in interpolate.h; the same integers.
#pragma once

#ifdef __SSE2__

#include <emmintrin.h>

#include <cstddef>
#include <cstdint>

namespace bsq {

// kWidth samples at once, 8 or 4, each in 16 bits.
template <int kWidth>
struct Samples16 {
  static __m128i load(const void* from) {
    if constexpr (kWidth == 8) return _mm_loadu_si128(static_cast<const __m128i*>(from));
    return _mm_loadl_epi64(static_cast<const __m128i*>(from));
  }
  static void store(void* to, __m128i v) {
    if constexpr (kWidth == 8) {
      _mm_storeu_si128(static_cast<__m128i*>(to), v);
    } else {
      _mm_storel_epi64(static_cast<__m128i*>(to), v);
    }
  }
  static void store_8_bits(uint16_t* to, __m128i v) {
    store(to, _mm_min_epi16(_mm_max_epi16(v, _mm_setzero_si128()), _mm_set1_epi16(255)));
  }
};

// A filter of which the taps lie `step` apart: 1 along rows, the stride along columns.
template <int kTaps, int kWidth>
class WideFilter {
 public:
  explicit WideFilter(const int16_t* taps) {
    for (int t = 0; t < kTaps; ++t) taps_[t] = _mm_set1_epi16(taps[t]);
    for (int t = 0; t < kTaps; t += 2) pairs_[t / 2] = _mm_unpacklo_epi16(taps_[t], taps_[t + 1]);
  }

  // Of samples: these sums fit 16 bits, however they are added.
  __m128i sum(const uint16_t* src, ptrdiff_t step) const {
    __m128i sum = _mm_mullo_epi16(In::load(src), taps_[0]);
    for (int t = 1; t < kTaps; ++t) {
      sum = _mm_add_epi16(sum, _mm_mullo_epi16(In::load(src + t * step), taps_[t]));
    }
    return sum;
  }
  // Of such sums, rounded.
  template <int kShift>
  __m128i rounded(const int16_t* src, ptrdiff_t step) const {
    __m128i low = _mm_set1_epi32(1 << (kShift - 1));
    __m128i high = low;
    for (int t = 0; t < kTaps; t += 2) {
      const __m128i a = In::load(src + t * step);
      const __m128i b = In::load(src + (t + 1) * step);
      low = _mm_add_epi32(low, _mm_madd_epi16(_mm_unpacklo_epi16(a, b), pairs_[t / 2]));
      if constexpr (kWidth == 8) {
        high = _mm_add_epi32(high, _mm_madd_epi16(_mm_unpackhi_epi16(a, b), pairs_[t / 2]));
      }
    }
    return _mm_packs_epi32(_mm_srai_epi32(low, kShift), _mm_srai_epi32(high, kShift));
  }

 private:
  using In = Samples16<kWidth>;

  __m128i taps_[kTaps];
  __m128i pairs_[kTaps / 2];
};

// Where a block's samples come from, from the first tap on, and where they go.
struct WideBlock {
  const uint16_t* src;
  ptrdiff_t src_stride;
  uint16_t* dst;
  ptrdiff_t dst_stride;
  int width;  // a multiple of the kWidth below
  int height;
};

// Along rows or columns alone.
template <int kTaps, int kWidth, int kShift>
void filter_once(const WideBlock& b, const int16_t* taps, ptrdiff_t step) {
  const WideFilter<kTaps, kWidth> filter(taps);
  const __m128i half = _mm_set1_epi16(1 << (kShift - 1));
  for (int y = 0; y < b.height; ++y) {
    const uint16_t* src = b.src + y * b.src_stride;
    for (int x = 0; x < b.width; x += kWidth) {
      const __m128i sum = _mm_add_epi16(filter.sum(src + x, step), half);
      Samples16<kWidth>::store_8_bits(b.dst + y * b.dst_stride + x, _mm_srai_epi16(sum, kShift));
    }
  }
}

// Along rows, and then along columns.
template <int kTaps, int kWidth, int kShift>
void filter_twice(const WideBlock& b, const int16_t* taps_x, const int16_t* taps_y) {
  constexpr int kMaxSize = 32;
  int16_t sums[(kMaxSize + kTaps - 1) * kMaxSize];
  const WideFilter<kTaps, kWidth> along_x(taps_x);
  for (int y = 0; y < b.height + kTaps - 1; ++y) {
    const uint16_t* src = b.src + y * b.src_stride;
    for (int x = 0; x < b.width; x += kWidth) {
      Samples16<kWidth>::store(sums + y * kMaxSize + x, along_x.sum(src + x, 1));
    }
  }
  const WideFilter<kTaps, kWidth> along_y(taps_y);
  for (int y = 0; y < b.height; ++y) {
    for (int x = 0; x < b.width; x += kWidth) {
      const int16_t* from = sums + y * kMaxSize + x;
      Samples16<kWidth>::store_8_bits(b.dst + y * b.dst_stride + x,
                                      along_y.template rounded<2 * kShift>(from, kMaxSize));
    }
  }
}

}  // namespace bsq

#endif
