// The motion search's loops for AVX2. Compiled with flags of its own: nothing but search_kernels.h
// and intrinsics may be included here.
#include <immintrin.h>

#include "motion/search_kernels.h"

namespace bsq {
namespace {

#define BSQ_INLINE inline __attribute__((always_inline))

constexpr int kTaps = 8;
constexpr int kWide = 32;    // samples that columns are filtered by
constexpr int kNarrow = 16;  // the same where sums have 16 bits

BSQ_INLINE __m128i load16(const uint8_t* from) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
}
BSQ_INLINE __m256i load32(const void* from) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(from));
}
BSQ_INLINE void store32(void* to, __m256i v) { _mm256_storeu_si256(static_cast<__m256i*>(to), v); }

// ---- differences ----

// One stage of the vertical Hadamard transform of both sub-blocks.
BSQ_INLINE void butterfly(__m256i (&d)[8], int step) {
#pragma GCC unroll 8
  for (int y = 0; y < 8; ++y) {
    if ((y & step) != 0) continue;
    const __m256i top = d[y];
    const __m256i bottom = d[y + step];
    d[y] = _mm256_add_epi16(top, bottom);
    d[y + step] = _mm256_sub_epi16(top, bottom);
  }
}

// A transposition of each lane but for the order of rows and of columns.
BSQ_INLINE void transpose(__m256i (&d)[8]) {
#pragma GCC unroll 3
  for (int round = 0; round < 3; ++round) {
    __m256i e[8];
#pragma GCC unroll 4
    for (int y = 0; y < 4; ++y) {
      e[2 * y] = _mm256_unpacklo_epi16(d[y], d[y + 4]);
      e[2 * y + 1] = _mm256_unpackhi_epi16(d[y], d[y + 4]);
    }
#pragma GCC unroll 8
    for (int y = 0; y < 8; ++y) d[y] = e[y];
  }
}

// Of the differences of two sub-blocks, one in each lane; the steps are those of satd_8x8().
BSQ_INLINE void satd_of(__m256i (&d)[8], uint16_t costs[2]) {
  butterfly(d, 1);
  butterfly(d, 2);
  butterfly(d, 4);
  transpose(d);
  butterfly(d, 1);
  butterfly(d, 2);
  const __m256i one = _mm256_set1_epi16(1);
  __m256i sum = _mm256_setzero_si256();
#pragma GCC unroll 4
  for (int y = 0; y < 4; ++y) {
    const __m256i larger = _mm256_max_epi16(_mm256_abs_epi16(d[y]), _mm256_abs_epi16(d[y + 4]));
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(larger, one));
  }
  sum = _mm256_add_epi32(sum, _mm256_shuffle_epi32(sum, 0x4E));
  sum = _mm256_add_epi32(sum, _mm256_shuffle_epi32(sum, 0xB1));
  costs[0] = static_cast<uint16_t>(_mm_cvtsi128_si32(_mm256_castsi256_si128(sum)) / 2);
  costs[1] = static_cast<uint16_t>(_mm_cvtsi128_si32(_mm256_extracti128_si256(sum, 1)) / 2);
}

void satd_pair(const uint8_t* a, ptrdiff_t a_stride, const uint8_t* b, ptrdiff_t b_stride,
               uint16_t costs[2]) {
  __m256i d[8];
#pragma GCC unroll 8
  for (int y = 0; y < 8; ++y) {
    d[y] = _mm256_sub_epi16(_mm256_cvtepu8_epi16(load16(a + y * a_stride)),
                            _mm256_cvtepu8_epi16(load16(b + y * b_stride)));
  }
  satd_of(d, costs);
}

void satd_pair_mean(const uint8_t* a, ptrdiff_t a_stride, const uint8_t* b, const uint8_t* c,
                    ptrdiff_t stride, uint16_t costs[2]) {
  __m256i d[8];
#pragma GCC unroll 8
  for (int y = 0; y < 8; ++y) {
    const __m128i mean = _mm_avg_epu8(load16(b + y * stride), load16(c + y * stride));
    d[y] = _mm256_sub_epi16(_mm256_cvtepu8_epi16(load16(a + y * a_stride)),
                            _mm256_cvtepu8_epi16(mean));
  }
  satd_of(d, costs);
}

void accumulate_sad4(const uint8_t* a, const uint8_t* b, int count, uint16_t* sums) {
  int four;
  __builtin_memcpy(&four, a, sizeof four);
  const __m256i wanted = _mm256_set1_epi32(four);
  for (int i = 0; i < count; i += 16) {
    // Eight places a lane, from eleven samples each: the last 16 of the 19, moved to begin at 8.
    const __m128i upper = _mm_srli_si128(load16(b + i + 3), 5);
    const __m256i places = _mm256_inserti128_si256(_mm256_castsi128_si256(load16(b + i)), upper, 1);
    store32(sums + i, _mm256_add_epi16(load32(sums + i), _mm256_mpsadbw_epu8(places, wanted, 0)));
  }
}

// ---- filters ----

// Two taps for samples side by side, as bytes and as 16-bit values.
struct BytePairs {
  __m256i pair[kTaps / 2];

  BSQ_INLINE explicit BytePairs(const int16_t* taps) {
#pragma GCC unroll 4
    for (int i = 0; i < kTaps / 2; ++i) {
      const int both = (taps[2 * i] & 0xFF) | (taps[2 * i + 1] & 0xFF) << 8;
      pair[i] = _mm256_set1_epi16(static_cast<int16_t>(both));
    }
  }
};

struct WordPairs {
  __m256i pair[kTaps / 2];

  BSQ_INLINE explicit WordPairs(const int16_t* taps) {
#pragma GCC unroll 4
    for (int i = 0; i < kTaps / 2; ++i) {
      const uint32_t both = static_cast<uint16_t>(taps[2 * i]) |
                            static_cast<uint32_t>(static_cast<uint16_t>(taps[2 * i + 1])) << 16;
      pair[i] = _mm256_set1_epi32(static_cast<int>(both));
    }
  }
};

// No sum of two products passes 80 * 255, none of all 88 * 255.
BSQ_INLINE __m256i row_sums(const uint8_t* src, const BytePairs& taps) {
  __m256i sum = _mm256_setzero_si256();
#pragma GCC unroll 4
  for (int i = 0; i < kTaps / 2; ++i) {
    const __m128i even = load16(src + 2 * i);
    const __m128i odd = load16(src + 2 * i + 1);
    const __m256i pairs = _mm256_inserti128_si256(
        _mm256_castsi128_si256(_mm_unpacklo_epi8(even, odd)), _mm_unpackhi_epi8(even, odd), 1);
    sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(pairs, taps.pair[i]));
  }
  return sum;
}

BSQ_INLINE __m256i column_samples(const uint8_t* src, ptrdiff_t stride, const BytePairs& taps) {
  __m256i low = _mm256_set1_epi16(32);
  __m256i high = low;
#pragma GCC unroll 4
  for (int i = 0; i < kTaps / 2; ++i) {
    const __m256i upper = load32(src + 2 * i * stride);
    const __m256i lower = load32(src + (2 * i + 1) * stride);
    low = _mm256_add_epi16(low,
                           _mm256_maddubs_epi16(_mm256_unpacklo_epi8(upper, lower), taps.pair[i]));
    high = _mm256_add_epi16(high,
                            _mm256_maddubs_epi16(_mm256_unpackhi_epi8(upper, lower), taps.pair[i]));
  }
  return _mm256_packus_epi16(_mm256_srai_epi16(low, 6), _mm256_srai_epi16(high, 6));
}

BSQ_INLINE __m128i samples_of_sums(const int16_t* src, ptrdiff_t stride, const WordPairs& taps) {
  __m256i low = _mm256_set1_epi32(1 << 11);
  __m256i high = low;
#pragma GCC unroll 4
  for (int i = 0; i < kTaps / 2; ++i) {
    const __m256i upper = load32(src + 2 * i * stride);
    const __m256i lower = load32(src + (2 * i + 1) * stride);
    low =
        _mm256_add_epi32(low, _mm256_madd_epi16(_mm256_unpacklo_epi16(upper, lower), taps.pair[i]));
    high = _mm256_add_epi32(high,
                            _mm256_madd_epi16(_mm256_unpackhi_epi16(upper, lower), taps.pair[i]));
  }
  const __m256i words = _mm256_packs_epi32(_mm256_srai_epi32(low, 12), _mm256_srai_epi32(high, 12));
  const __m256i bytes = _mm256_packus_epi16(words, words);
  return _mm256_castsi256_si128(_mm256_permute4x64_epi64(bytes, 0x08));
}

BSQ_INLINE uint8_t limited(int value) {
  return static_cast<uint8_t>(value < 0 ? 0 : value > 255 ? 255 : value);
}

template <class T>
BSQ_INLINE int sum_of(const T* src, ptrdiff_t step, const int16_t* taps) {
  int sum = 0;
  for (int t = 0; t < kTaps; ++t) sum += taps[t] * src[t * step];
  return sum;
}

// fn(x) for vectors of kStep places that cover a row; the last one may overlap the one before.
template <int kStep, class Fn>
BSQ_INLINE void for_vectors(int width, const Fn& fn) {
  int x = 0;
  for (; x + kStep <= width; x += kStep) fn(x);
  if (x < width) fn(width - kStep);
}

void filter_rows(const uint8_t* src, ptrdiff_t src_stride, int16_t* dst, ptrdiff_t dst_stride,
                 int width, int height, const int16_t* taps) {
  const BytePairs pairs(taps);
  for (int y = 0; y < height; ++y, src += src_stride, dst += dst_stride) {
    if (width < kNarrow) {
      for (int x = 0; x < width; ++x) dst[x] = static_cast<int16_t>(sum_of(src + x, 1, taps));
      continue;
    }
    for_vectors<kNarrow>(width, [&](int x) __attribute__((always_inline)) {
      store32(dst + x, row_sums(src + x, pairs));
    });
  }
}

void filter_columns(const uint8_t* src, ptrdiff_t src_stride, uint8_t* dst, ptrdiff_t dst_stride,
                    int width, int height, const int16_t* taps) {
  const BytePairs pairs(taps);
  for (int y = 0; y < height; ++y, src += src_stride, dst += dst_stride) {
    if (width < kWide) {
      for (int x = 0; x < width; ++x) {
        dst[x] = limited((sum_of(src + x, src_stride, taps) + 32) >> 6);
      }
      continue;
    }
    for_vectors<kWide>(width, [&](int x) __attribute__((always_inline)) {
      store32(dst + x, column_samples(src + x, src_stride, pairs));
    });
  }
}

void filter_sums(const int16_t* src, ptrdiff_t src_stride, uint8_t* dst, ptrdiff_t dst_stride,
                 int width, int height, const int16_t* taps) {
  const WordPairs pairs(taps);
  for (int y = 0; y < height; ++y, src += src_stride, dst += dst_stride) {
    if (width < kNarrow) {
      for (int x = 0; x < width; ++x) {
        dst[x] = limited((sum_of(src + x, src_stride, taps) + (1 << 11)) >> 12);
      }
      continue;
    }
    for_vectors<kNarrow>(width, [&](int x) __attribute__((always_inline)) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(dst + x),
                       samples_of_sums(src + x, src_stride, pairs));
    });
  }
}

}  // namespace

const SearchKernels kSearchAvx2 = {
    .satd_pair = satd_pair,
    .satd_pair_mean = satd_pair_mean,
    .accumulate_sad4 = accumulate_sad4,
    .filter_rows = filter_rows,
    .filter_columns = filter_columns,
    .filter_sums = filter_sums,
};

}  // namespace bsq
