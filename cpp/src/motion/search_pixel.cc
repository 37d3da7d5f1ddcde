// Pixel differences of the motion search, written so that compilers vectorise them.
#include "motion/search_pixel.h"

#include <algorithm>
#include <cstdlib>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace bsq {

namespace {

template <int kWidth>
int sad_columns(const uint8_t* a, ptrdiff_t a_stride, const uint8_t* b, ptrdiff_t b_stride,
                int height) {
  int sum = 0;
  for (int y = 0; y < height; ++y, a += a_stride, b += b_stride) {
    for (int x = 0; x < kWidth; ++x) sum += std::abs(a[x] - b[x]);
  }
  return sum;
}

uint16_t distance(uint8_t a, uint8_t b) {
  return static_cast<uint8_t>(std::max(a, b) - std::min(a, b));
}

template <int kWidth>
void accumulate(const uint8_t* __restrict a, const uint8_t* __restrict b, int count,
                uint16_t* __restrict sums) {
  for (int start = 0; start < count; start += 16) {
    for (int i = start; i < start + 16; ++i) {
      uint16_t sum = sums[i];
      for (int x = 0; x < kWidth; ++x) sum = static_cast<uint16_t>(sum + distance(a[x], b[i + x]));
      sums[i] = sum;
    }
  }
}

#ifdef __SSE2__

// One stage of the vertical Hadamard transform: sums and differences of rows `step` apart.
void butterfly_rows(__m128i d[8], int step) {
  for (int y = 0; y < 8; ++y) {
    if (y & step) continue;
    const __m128i top = d[y];
    const __m128i bottom = d[y + step];
    d[y] = _mm_add_epi16(top, bottom);
    d[y + step] = _mm_sub_epi16(top, bottom);
  }
}

// A transposition but for the order of rows and of columns.
void transpose(__m128i d[8]) {
  for (int round = 0; round < 3; ++round) {
    __m128i e[8];
    for (int y = 0; y < 4; ++y) {
      e[2 * y] = _mm_unpacklo_epi16(d[y], d[y + 4]);
      e[2 * y + 1] = _mm_unpackhi_epi16(d[y], d[y + 4]);
    }
    std::copy_n(e, 8, d);
  }
}

__m128i absolute(__m128i v) { return _mm_max_epi16(v, _mm_sub_epi16(_mm_setzero_si128(), v)); }

#else

// One stage of the vertical Hadamard transform: sums and differences of rows `step` apart.
void butterfly_rows(int16_t d[8][8], int step) {
  for (int y = 0; y < 8; ++y) {
    if (y & step) continue;
    for (int x = 0; x < 8; ++x) {
      const int16_t top = d[y][x];
      const int16_t bottom = d[y + step][x];
      d[y][x] = static_cast<int16_t>(top + bottom);
      d[y + step][x] = static_cast<int16_t>(top - bottom);
    }
  }
}

#endif

}  // namespace

int block_sad(const uint8_t* a, ptrdiff_t a_stride, const uint8_t* b, ptrdiff_t b_stride, int width,
              int height) {
  int sum = 0;
  int x = 0;
  for (; width - x >= 16; x += 16) sum += sad_columns<16>(a + x, a_stride, b + x, b_stride, height);
  for (; width - x >= 8; x += 8) sum += sad_columns<8>(a + x, a_stride, b + x, b_stride, height);
  for (; width - x >= 4; x += 4) sum += sad_columns<4>(a + x, a_stride, b + x, b_stride, height);
  if (x < width) sum += sad_columns<2>(a + x, a_stride, b + x, b_stride, height);
  return sum;
}

// Coefficients fit 16 bits: 64 * 255 = 16320. The transform is symmetric, so that transposing
// between its halves changes no sum; |p + q| + |p - q| = 2 max(|p|, |q|) is its last stage and the
// sum of what comes out.
#ifdef __SSE2__

int satd_8x8(const uint8_t* a, ptrdiff_t a_stride, const uint8_t* b, ptrdiff_t b_stride) {
  const __m128i zero = _mm_setzero_si128();
  __m128i d[8];
  for (int y = 0; y < 8; ++y) {
    const __m128i p = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(a + y * a_stride));
    const __m128i q = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(b + y * b_stride));
    d[y] = _mm_sub_epi16(_mm_unpacklo_epi8(p, zero), _mm_unpacklo_epi8(q, zero));
  }
  butterfly_rows(d, 1);
  butterfly_rows(d, 2);
  butterfly_rows(d, 4);
  transpose(d);
  butterfly_rows(d, 1);
  butterfly_rows(d, 2);
  const __m128i one = _mm_set1_epi16(1);
  __m128i sum = zero;
  for (int y = 0; y < 4; ++y) {
    const __m128i larger = _mm_max_epi16(absolute(d[y]), absolute(d[y + 4]));
    sum = _mm_add_epi32(sum, _mm_madd_epi16(larger, one));
  }
  sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4E));
  sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xB1));
  return _mm_cvtsi128_si32(sum) / 2;
}

#else

int satd_8x8(const uint8_t* a, ptrdiff_t a_stride, const uint8_t* b, ptrdiff_t b_stride) {
  alignas(16) int16_t d[8][8];
  alignas(16) int16_t e[8][8];
  for (int y = 0; y < 8; ++y) {
    for (int x = 0; x < 8; ++x) {
      d[y][x] = static_cast<int16_t>(a[y * a_stride + x] - b[y * b_stride + x]);
    }
  }
  butterfly_rows(d, 1);
  butterfly_rows(d, 2);
  butterfly_rows(d, 4);
  for (int y = 0; y < 8; ++y) {
    for (int x = 0; x < 8; ++x) e[x][y] = d[y][x];
  }
  butterfly_rows(e, 1);
  butterfly_rows(e, 2);
  int sum = 0;
  for (int y = 0; y < 4; ++y) {
    for (int x = 0; x < 8; ++x) {
      const int16_t p = e[y][x];
      const int16_t q = e[y + 4][x];
      const int16_t abs_p = std::max(p, static_cast<int16_t>(-p));
      const int16_t abs_q = std::max(q, static_cast<int16_t>(-q));
      sum += std::max(abs_p, abs_q);
    }
  }
  return sum / 2;
}

#endif

int satd_8x8_mean(const uint8_t* a, ptrdiff_t a_stride, const uint8_t* b, const uint8_t* c,
                  ptrdiff_t stride) {
  uint8_t mean[8 * 8];
  for (int y = 0; y < 8; ++y, b += stride, c += stride) {
    for (int x = 0; x < 8; ++x) mean[8 * y + x] = static_cast<uint8_t>((b[x] + c[x] + 1) >> 1);
  }
  return satd_8x8(a, a_stride, mean, 8);
}

void accumulate_sad(const uint8_t* a, const uint8_t* b, int width, int count, uint16_t* sums) {
  if (width == 4) {
    accumulate<4>(a, b, count, sums);
  } else {
    accumulate<2>(a, b, count, sums);
  }
}

void halve(const uint8_t* __restrict src, ptrdiff_t src_stride, uint8_t* __restrict dst,
           ptrdiff_t dst_stride, int dst_width, int dst_height) {
  for (int y = 0; y < dst_height; ++y, src += 2 * src_stride, dst += dst_stride) {
    const uint8_t* next = src + src_stride;
    for (int x = 0; x < dst_width; ++x) {
      const int sum = src[2 * x] + src[2 * x + 1] + next[2 * x] + next[2 * x + 1];
      dst[x] = static_cast<uint8_t>((sum + 2) >> 2);
    }
  }
}

}  // namespace bsq
