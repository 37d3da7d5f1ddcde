// Kernels for AVX2. Compiled with flags of its own: nothing but kernel_table.h and intrinsics may
// be included here.
//
// Bytes are widened to 16 bits and multiplied by madd: the product of unsigned and signed bytes
// that AVX2 has would saturate.
#include <immintrin.h>

#include "kernels/kernel_table.h"

namespace bsq {
namespace {

#define BSQ_INLINE inline __attribute__((always_inline))

constexpr int kPanel = 8;  // outputs in a register
constexpr int kPair = 16;  // outputs of a tile: two panels
constexpr int kRows = 6;   // rows of a tile: 12 sums, 2 weights and 2 more registers
constexpr int kMaxInputs = 1024;

struct Rq {
  __m256i round;
  __m128i shift;  // what is left after the upper half of the product was taken
};

BSQ_INLINE Rq make_rq(int shift) {
  return {_mm256_set1_epi64x(int64_t{1} << (shift - 1)), _mm_cvtsi32_si128(shift - 32)};
}

// rq() of 8 sums; the result fits in 31 bits, since |a * m| < 2^62 and the shift is at least 32.
BSQ_INLINE __m256i requantize(__m256i sum, __m256i m, const Rq& rq) {
  const __m256i even = _mm256_add_epi64(_mm256_mul_epi32(sum, m), rq.round);
  const __m256i odd = _mm256_add_epi64(
      _mm256_mul_epi32(_mm256_srli_epi64(sum, 32), _mm256_srli_epi64(m, 32)), rq.round);
  const __m256i upper = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xAA);
  return _mm256_sra_epi32(upper, rq.shift);
}

BSQ_INLINE __m256i load(const void* from) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(from));
}

BSQ_INLINE __m256i load_bytes(const int8_t* from) {
  return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}

// 16 values of 32 bits to 16 bits, within -32767..32767.
BSQ_INLINE __m256i narrow16(__m256i a, __m256i b) {
  const __m256i packed = _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xD8);
  return _mm256_max_epi16(packed, _mm256_set1_epi16(-32767));
}

// 16 values of 16 bits to bytes, within -127..127.
BSQ_INLINE __m128i narrow8(__m256i x) {
  const __m128i packed = _mm_packs_epi16(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
  return _mm_max_epi8(packed, _mm_set1_epi8(-127));
}

// Writes the first `count` of 16 bytes, through the table where there is one.
BSQ_INLINE void store8(__m128i bytes, const int8_t* table, int count, int8_t* out) {
  if (table == nullptr && count >= kPair) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), bytes);
    return;
  }
  alignas(16) int8_t values[kPair];
  _mm_store_si128(reinterpret_cast<__m128i*>(values), bytes);
  const int last = count < kPair ? count : kPair;
  for (int i = 0; i < last; ++i) out[i] = table != nullptr ? table[values[i] + 128] : values[i];
}

// Where a tile's sums go: `count` outputs, at most 16, of row t from output n on.
struct SumsOut {
  static constexpr bool kRequantize = false;
  int32_t* out;
  ptrdiff_t stride;

  BSQ_INLINE void store(int t, int n, int count, __m256i a, __m256i b) const {
    alignas(32) int32_t values[kPair];
    _mm256_store_si256(reinterpret_cast<__m256i*>(values), a);
    _mm256_store_si256(reinterpret_cast<__m256i*>(values + kPanel), b);
    const int last = count < kPair ? count : kPair;
    for (int i = 0; i < last; ++i) out[t * stride + n + i] = values[i];
  }
};

struct Rq8Out {
  static constexpr bool kRequantize = true;
  int8_t* out;
  ptrdiff_t stride;
  const int8_t* table;

  BSQ_INLINE void store(int t, int n, int count, __m256i a, __m256i b) const {
    store8(narrow8(narrow16(a, b)), table, count, out + t * stride + n);
  }
};

struct Rq16Out {
  static constexpr bool kRequantize = true;
  int16_t* out;
  ptrdiff_t stride;
  bool add;

  BSQ_INLINE void store(int t, int n, int count, __m256i a, __m256i b) const {
    int16_t* to = out + t * stride + n;
    if (count >= kPair) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), joined(narrow16(a, b), load_if(to)));
      return;
    }
    alignas(32) int16_t values[kPair] = {};
    for (int i = 0; add && i < count; ++i) values[i] = to[i];
    const __m256i y = joined(narrow16(a, b), load_if(values));
    _mm256_store_si256(reinterpret_cast<__m256i*>(values), y);
    for (int i = 0; i < count; ++i) to[i] = values[i];
  }

 private:
  BSQ_INLINE __m256i load_if(const int16_t* from) const {
    return add ? load(from) : _mm256_setzero_si256();
  }
  BSQ_INLINE static __m256i joined(__m256i y, __m256i old) {
    return _mm256_max_epi16(_mm256_adds_epi16(old, y), _mm256_set1_epi16(-32767));
  }
};

// kR rows by kP panels; x holds the rows of the tile, widened.
template <int kR, int kP, class Output>
void tile(const LinearView& layer, int n, const int16_t* x, ptrdiff_t x_stride, int t,
          const Output& output) {
  const int8_t* w = layer.w + static_cast<ptrdiff_t>(n) * layer.k;
  const ptrdiff_t panel = static_cast<ptrdiff_t>(kPanel) * layer.k;
  __m256i sums[kR][2];
#pragma GCC unroll 6
  for (int r = 0; r < kR; ++r) {
    sums[r][0] = load(layer.b + n);
    sums[r][1] = load(layer.b + n + (kP - 1) * kPanel);
  }
  for (int k = 0; k < layer.k; k += 2, w += 2 * kPanel) {
    const __m256i first = load_bytes(w);
    const __m256i second = kP > 1 ? load_bytes(w + panel) : first;
#pragma GCC unroll 6
    for (int r = 0; r < kR; ++r) {
      int32_t two;
      __builtin_memcpy(&two, x + r * x_stride + k, sizeof two);
      const __m256i a = _mm256_set1_epi32(two);
      sums[r][0] = _mm256_add_epi32(sums[r][0], _mm256_madd_epi16(a, first));
      if (kP > 1) sums[r][1] = _mm256_add_epi32(sums[r][1], _mm256_madd_epi16(a, second));
    }
  }
  const Rq rq = make_rq(layer.shift);
#pragma GCC unroll 6
  for (int r = 0; r < kR; ++r) {
    if (Output::kRequantize) {
      sums[r][0] = requantize(sums[r][0], load(layer.m + n), rq);
      sums[r][1] = requantize(sums[r][1], load(layer.m + n + (kP - 1) * kPanel), rq);
    }
    output.store(t + r, n, layer.n - n, sums[r][0], sums[r][1]);
  }
}

template <int kR, class Output>
void tile_row(const LinearView& layer, const int16_t* x, ptrdiff_t x_stride, int t,
              const Output& output) {
  int n = 0;
  for (; layer.n - n > kPanel; n += kPair) tile<kR, 2>(layer, n, x, x_stride, t, output);
  if (n < layer.n) tile<kR, 1>(layer, n, x, x_stride, t, output);
}

template <class Output>
void tile_rows(const LinearView& layer, const int16_t* x, ptrdiff_t x_stride, int t, int rows,
               const Output& output) {
  switch (rows) {
    case 1:
      return tile_row<1>(layer, x, x_stride, t, output);
    case 2:
      return tile_row<2>(layer, x, x_stride, t, output);
    case 3:
      return tile_row<3>(layer, x, x_stride, t, output);
    case 4:
      return tile_row<4>(layer, x, x_stride, t, output);
    case 5:
      return tile_row<5>(layer, x, x_stride, t, output);
    default:
      return tile_row<6>(layer, x, x_stride, t, output);
  }
}

template <class Output>
void linear8(const LinearView& layer, const int8_t* x, ptrdiff_t x_stride, int rows,
             const Output& output) {
  alignas(32) int16_t wide[kRows * kMaxInputs];
  for (int t = 0; t < rows; t += kRows) {
    const int part = rows - t < kRows ? rows - t : kRows;
    for (int r = 0; r < part; ++r) {
      const int8_t* from = x + (t + r) * x_stride;
      int16_t* to = wide + r * kMaxInputs;
      for (int k = 0; k < layer.k; k += 8) {
        const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from + k));
        _mm_store_si128(reinterpret_cast<__m128i*>(to + k), _mm_cvtepi8_epi16(bytes));
      }
    }
    tile_rows(layer, wide, kMaxInputs, t, part, output);
  }
}

void linear8_s32(const LinearView& layer, const int8_t* x, ptrdiff_t x_stride, int rows,
                 int32_t* out, ptrdiff_t out_stride) {
  linear8(layer, x, x_stride, rows, SumsOut{out, out_stride});
}

void linear8_rq8(const LinearView& layer, const int8_t* x, ptrdiff_t x_stride, int rows,
                 const int8_t* table, int8_t* out, ptrdiff_t out_stride) {
  linear8(layer, x, x_stride, rows, Rq8Out{out, out_stride, table});
}

void linear8_rq16(const LinearView& layer, const int8_t* x, ptrdiff_t x_stride, int rows, bool add,
                  int16_t* out, ptrdiff_t out_stride) {
  linear8(layer, x, x_stride, rows, Rq16Out{out, out_stride, add});
}

void linear16_rq16(const LinearView& layer, const int16_t* x, ptrdiff_t x_stride, int rows,
                   bool add, int16_t* out, ptrdiff_t out_stride) {
  const Rq16Out output{out, out_stride, add};
  for (int t = 0; t < rows; t += kRows) {
    const int part = rows - t < kRows ? rows - t : kRows;
    tile_rows(layer, x + t * x_stride, x_stride, t, part, output);
  }
}

void requant8(const RequantView& requant, int channels, const int16_t* x, ptrdiff_t x_stride,
              int rows, const int8_t* table, int8_t* out, ptrdiff_t out_stride) {
  const Rq rq = make_rq(requant.shift);
  for (int t = 0; t < rows; ++t) {
    const int16_t* from = x + t * x_stride;
    for (int c = 0; c < channels; c += kPanel) {
      const __m128i values = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + c));
      const __m256i y = requantize(_mm256_cvtepi16_epi32(values), load(requant.m + c), rq);
      store8(narrow8(narrow16(y, y)), table, kPanel, out + t * out_stride + c);
    }
  }
}

// ---- depthwise convolution ----

constexpr int kChannels = 16;
constexpr int kSide = 5;
constexpr int kTaps = 25;
constexpr int kPairs = 13;

// Vectors for the channels 0..3 and 8..11, and for 4..7 and 12..15: the order of unpacking.
struct Halves {
  __m256i low;
  __m256i high;
};

BSQ_INLINE Halves halves(__m256i first, __m256i second) {
  return {_mm256_permute2x128_si256(first, second, 0x20),
          _mm256_permute2x128_si256(first, second, 0x31)};
}

// 16 channels, or the 8 that are left.
BSQ_INLINE __m256i load_channels(const int8_t* from, bool whole) {
  if (whole) return load_bytes(from);
  return _mm256_cvtepi8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)));
}

BSQ_INLINE Halves convolve(const int8_t* x, ptrdiff_t row_stride, int channels, bool whole,
                           const Halves (&w)[kPairs], Halves sums) {
  const auto tap = [&](int i) __attribute__((always_inline)) {
    const ptrdiff_t token = static_cast<ptrdiff_t>(i % kSide - 2) * channels;
    return load_channels(x + (i / kSide - 2) * row_stride + token, whole);
  };
  for (int i = 0; i < kPairs; ++i) {
    const __m256i a = tap(2 * i);
    const __m256i b = 2 * i + 1 < kTaps ? tap(2 * i + 1) : _mm256_setzero_si256();
    sums.low = _mm256_add_epi32(sums.low, _mm256_madd_epi16(_mm256_unpacklo_epi16(a, b), w[i].low));
    sums.high =
        _mm256_add_epi32(sums.high, _mm256_madd_epi16(_mm256_unpackhi_epi16(a, b), w[i].high));
  }
  return sums;
}

void dwconv5_rq8(const DepthwiseView& layer, const int8_t* x, ptrdiff_t row_stride, int count,
                 int8_t* out, ptrdiff_t out_stride) {
  const Rq rq = make_rq(layer.shift);
  for (int c = 0; c < layer.channels; c += kChannels) {
    const int left = layer.channels - c;
    const int8_t* weights = layer.w + static_cast<ptrdiff_t>(c) * kPairs * 2;
    Halves w[kPairs];
    for (int i = 0; i < kPairs; ++i) {
      w[i] = halves(load_bytes(weights + 32 * i), load_bytes(weights + 32 * i + 16));
    }
    const Halves bias = halves(load(layer.b + c), load(layer.b + c + kPanel));
    const Halves m = halves(load(layer.m + c), load(layer.m + c + kPanel));
    for (int t = 0; t < count; ++t) {
      const int8_t* from = x + static_cast<ptrdiff_t>(t) * layer.channels + c;
      const Halves sums = convolve(from, row_stride, layer.channels, left >= kChannels, w, bias);
      const __m256i packed =
          _mm256_packs_epi32(requantize(sums.low, m.low, rq), requantize(sums.high, m.high, rq));
      store8(narrow8(packed), nullptr, left, out + t * out_stride + c);
    }
  }
}

}  // namespace

const KernelTable kKernelsAvx2 =
    BSQ_KERNEL_TABLE("avx2", pack_linear_pairs, pack_linear_pairs, pack_depthwise_avx2, peak_avx2);

}  // namespace bsq
