// Kernels for AVX-512 with VNNI and VBMI (Ice Lake, Zen 4 and later). Compiled with flags of its
// own: nothing but kernel_table.h and intrinsics may be included here.
//
// The products take unsigned by signed bytes. Inputs are shifted by 128 as they are broadcast, and
// the packed biases take the surplus back, modulo 2^32 (packed.h).
#include <immintrin.h>

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12's own AVX-512 header leaves operands undefined on purpose and warns of it (PR 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include "kernels/kernel_table.h"

namespace bsq {
namespace {

#define BSQ_INLINE inline __attribute__((always_inline))

constexpr int kPanel = 16;  // outputs in a register
constexpr int kBlock = 64;  // outputs in four of them
constexpr int kRows = 6;    // rows in a tile: 24 sums, 4 weights and 2 more registers

struct Rq {
  __m512i round;
  __m512i shift;  // what is left after the upper half of the product was taken
};

BSQ_INLINE Rq make_rq(int shift) {
  return {_mm512_set1_epi64(int64_t{1} << (shift - 1)), _mm512_set1_epi32(shift - 32)};
}

// rq() of 16 sums; the result fits in 31 bits, since |a * m| < 2^62 and the shift is at least 32.
BSQ_INLINE __m512i requantize(__m512i sum, __m512i m, __m512i m_odd, const Rq& rq) {
  const __m512i even = _mm512_add_epi64(_mm512_mul_epi32(sum, m), rq.round);
  const __m512i odd =
      _mm512_add_epi64(_mm512_mul_epi32(_mm512_srli_epi64(sum, 32), m_odd), rq.round);
  const __m512i upper = _mm512_mask_shuffle_epi32(odd, 0x5555, even, _MM_PERM_DDBB);
  return _mm512_srav_epi32(upper, rq.shift);
}

BSQ_INLINE __m512i limit8(__m512i x) { return _mm512_max_epi8(x, _mm512_set1_epi8(-127)); }
BSQ_INLINE __m512i limit16(__m512i x) { return _mm512_max_epi16(x, _mm512_set1_epi16(-32767)); }

BSQ_INLINE __mmask16 lanes(int count) {
  return static_cast<__mmask16>(count >= kPanel ? 0xFFFFU : (1U << count) - 1U);
}

// table[x + 128]: negative values are in its first half.
struct Table {
  __m512i part[4];
  bool used;

  BSQ_INLINE explicit Table(const int8_t* table) : used(table != nullptr) {
    for (int i = 0; i < 4; ++i) {
      part[i] = used ? _mm512_loadu_si512(table + 64 * i) : _mm512_setzero_si512();
    }
  }

  BSQ_INLINE __m512i look_up(__m512i x) const {
    if (!used) return x;
    const __m512i negative = _mm512_permutex2var_epi8(part[0], x, part[1]);
    const __m512i positive = _mm512_permutex2var_epi8(part[2], x, part[3]);
    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(x), positive, negative);
  }
};

// Where a tile's sums go. whole() takes the four panels of a whole block, tail() one panel of
// which `count` outputs exist.
struct SumsOut {
  static constexpr bool kRequantize = false;
  int32_t* out;
  ptrdiff_t stride;

  BSQ_INLINE void whole(int t, int n, const __m512i (&a)[4]) const {
    // Lane l of panel i holds outputs 16 l + 4 i: a transposition of 128-bit lanes.
    const __m512i low01 = _mm512_shuffle_i32x4(a[0], a[1], 0x44);
    const __m512i low23 = _mm512_shuffle_i32x4(a[2], a[3], 0x44);
    const __m512i high01 = _mm512_shuffle_i32x4(a[0], a[1], 0xEE);
    const __m512i high23 = _mm512_shuffle_i32x4(a[2], a[3], 0xEE);
    int32_t* to = out + t * stride + n;
    _mm512_storeu_si512(to, _mm512_shuffle_i32x4(low01, low23, 0x88));
    _mm512_storeu_si512(to + 16, _mm512_shuffle_i32x4(low01, low23, 0xDD));
    _mm512_storeu_si512(to + 32, _mm512_shuffle_i32x4(high01, high23, 0x88));
    _mm512_storeu_si512(to + 48, _mm512_shuffle_i32x4(high01, high23, 0xDD));
  }
  BSQ_INLINE void tail(int t, int n, int count, __m512i a) const {
    _mm512_mask_storeu_epi32(out + t * stride + n, lanes(count), a);
  }
};

struct Rq8Out {
  static constexpr bool kRequantize = true;
  int8_t* out;
  ptrdiff_t stride;
  const int8_t* table;

  BSQ_INLINE void whole(int t, int n, const __m512i (&a)[4]) const {
    const __m512i bytes =
        _mm512_packs_epi16(_mm512_packs_epi32(a[0], a[1]), _mm512_packs_epi32(a[2], a[3]));
    _mm512_storeu_si512(out + t * stride + n, Table(table).look_up(limit8(bytes)));
  }
  BSQ_INLINE void tail(int t, int n, int count, __m512i a) const {
    const __m512i bytes = limit8(_mm512_castsi128_si512(_mm512_cvtsepi32_epi8(a)));
    const __m128i value = _mm512_castsi512_si128(Table(table).look_up(bytes));
    _mm_mask_storeu_epi8(out + t * stride + n, lanes(count), value);
  }
};

template <bool kAdd>
struct Rq16Out {
  static constexpr bool kRequantize = true;
  int16_t* out;
  ptrdiff_t stride;

  BSQ_INLINE static __m512i joined(__m512i y, const int16_t* to) {
    y = limit16(y);
    return kAdd ? limit16(_mm512_adds_epi16(_mm512_loadu_si512(to), y)) : y;
  }
  BSQ_INLINE void whole(int t, int n, const __m512i (&a)[4]) const {
    const __m512i p = _mm512_packs_epi32(a[0], a[1]);
    const __m512i q = _mm512_packs_epi32(a[2], a[3]);
    const __m512i first = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
    const __m512i second = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
    int16_t* to = out + t * stride + n;
    const __m512i low = joined(_mm512_permutex2var_epi64(p, first, q), to);
    const __m512i high = joined(_mm512_permutex2var_epi64(p, second, q), to + 32);
    _mm512_storeu_si512(to, low);
    _mm512_storeu_si512(to + 32, high);
  }
  BSQ_INLINE void tail(int t, int n, int count, __m512i a) const {
    const __mmask16 mask = lanes(count);
    const __m256i limit = _mm256_set1_epi16(-32767);
    int16_t* to = out + t * stride + n;
    __m256i y = _mm256_max_epi16(_mm512_cvtsepi32_epi16(a), limit);
    if (kAdd) {
      y = _mm256_adds_epi16(_mm256_maskz_loadu_epi16(mask, to), y);
      y = _mm256_max_epi16(y, limit);
    }
    _mm256_mask_storeu_epi16(to, mask, y);
  }
};

// The two products, as instructions: with the intrinsics, GCC 12 copies the sums of a tile around
// and runs out of registers, which costs half the speed.
BSQ_INLINE __m512i dot4(__m512i sum, __m512i bytes, __m512i w) {
  asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(bytes), "v"(w));
  return sum;
}
BSQ_INLINE __m512i dot2(__m512i sum, __m512i words, __m512i w) {
  asm("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(words), "v"(w));
  return sum;
}

// One step takes the inputs that share a 32-bit lane: four bytes or two 16-bit values.
struct Input8 {
  static constexpr int kStep = 4;
  const int8_t* x;
  ptrdiff_t stride;

  BSQ_INLINE __m512i broadcast(int t, int k) const {
    int32_t four;
    __builtin_memcpy(&four, x + t * stride + k, sizeof four);
    return _mm512_xor_si512(_mm512_set1_epi32(four), _mm512_set1_epi8(-128));
  }
  BSQ_INLINE static __m512i weights(const int8_t* w) { return _mm512_load_si512(w); }
  BSQ_INLINE static __m512i product(__m512i sum, __m512i a, __m512i w) { return dot4(sum, a, w); }
};

struct Input16 {
  static constexpr int kStep = 2;
  const int16_t* x;
  ptrdiff_t stride;

  BSQ_INLINE __m512i broadcast(int t, int k) const {
    int32_t two;
    __builtin_memcpy(&two, x + t * stride + k, sizeof two);
    return _mm512_set1_epi32(two);
  }
  BSQ_INLINE static __m512i weights(const int8_t* w) {
    return _mm512_cvtepi8_epi16(_mm256_load_si256(reinterpret_cast<const __m256i*>(w)));
  }
  BSQ_INLINE static __m512i product(__m512i sum, __m512i a, __m512i w) { return dot2(sum, a, w); }
};

template <int kR, int kP, class Input>
BSQ_INLINE void accumulate(const LinearView& layer, int n, const Input& input, int t,
                           __m512i (&sums)[kR][kP]) {
  const int8_t* w = layer.w + static_cast<ptrdiff_t>(n) * layer.k;
  const ptrdiff_t panel = static_cast<ptrdiff_t>(kPanel) * layer.k;
#pragma GCC unroll 4
  for (int p = 0; p < kP; ++p) {
    const __m512i bias = _mm512_load_si512(layer.b + n + kPanel * p);
#pragma GCC unroll 6
    for (int r = 0; r < kR; ++r) sums[r][p] = bias;
  }
  for (int k = 0; k < layer.k; k += Input::kStep, w += kPanel * Input::kStep) {
    __m512i weights[kP];
#pragma GCC unroll 4
    for (int p = 0; p < kP; ++p) weights[p] = Input::weights(w + p * panel);
#pragma GCC unroll 6
    for (int r = 0; r < kR; ++r) {
      const __m512i a = input.broadcast(t + r, k);
#pragma GCC unroll 4
      for (int p = 0; p < kP; ++p) sums[r][p] = Input::product(sums[r][p], a, weights[p]);
    }
  }
}

template <int kR, int kP>
BSQ_INLINE void requantize_tile(const LinearView& layer, int n, __m512i (&sums)[kR][kP]) {
  const Rq rq = make_rq(layer.shift);
#pragma GCC unroll 4
  for (int p = 0; p < kP; ++p) {
    const __m512i m = _mm512_load_si512(layer.m + n + kPanel * p);
    const __m512i m_odd = _mm512_srli_epi64(m, 32);
#pragma GCC unroll 6
    for (int r = 0; r < kR; ++r) sums[r][p] = requantize(sums[r][p], m, m_odd, rq);
  }
}

// kR rows by kP panels: a whole block where kP is 4, else panels of the last, partial one.
template <int kR, int kP, class Input, class Output>
void tile(const LinearView& layer, int n, const Input& input, int t, const Output& output) {
  __m512i sums[kR][kP];
  accumulate<kR, kP>(layer, n, input, t, sums);
  if (Output::kRequantize) requantize_tile<kR, kP>(layer, n, sums);
#pragma GCC unroll 6
  for (int r = 0; r < kR; ++r) {
    if constexpr (kP == 4) {
      output.whole(t + r, n, sums[r]);
    } else {
#pragma GCC unroll 4
      for (int p = 0; p < kP; ++p) {
        const int first = n + kPanel * p;
        output.tail(t + r, first, layer.n - first, sums[r][p]);
      }
    }
  }
}

template <int kP, class Input, class Output>
void panels(const LinearView& layer, int n, const Input& input, int rows, const Output& output) {
  int t = 0;
  for (; t + kRows <= rows; t += kRows) tile<kRows, kP>(layer, n, input, t, output);
  switch (rows - t) {
    case 5:
      return tile<5, kP>(layer, n, input, t, output);
    case 4:
      return tile<4, kP>(layer, n, input, t, output);
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

// Panel by panel, so that a panel's weights stay in the first-level cache for all rows.
template <class Input, class Output>
void linear(const LinearView& layer, const Input& input, int rows, const Output& output) {
  int n = 0;
  for (; n + kBlock <= layer.n; n += kBlock) panels<4>(layer, n, input, rows, output);
  for (; layer.n - n > kPanel; n += 2 * kPanel) panels<2>(layer, n, input, rows, output);
  if (n < layer.n) panels<1>(layer, n, input, rows, output);
}

void linear8_s32(const LinearView& layer, const int8_t* x, ptrdiff_t x_stride, int rows,
                 int32_t* out, ptrdiff_t out_stride) {
  linear(layer, Input8{x, x_stride}, rows, SumsOut{out, out_stride});
}

void linear8_rq8(const LinearView& layer, const int8_t* x, ptrdiff_t x_stride, int rows,
                 const int8_t* table, int8_t* out, ptrdiff_t out_stride) {
  linear(layer, Input8{x, x_stride}, rows, Rq8Out{out, out_stride, table});
}

template <class Input>
void linear_rq16(const LinearView& layer, const Input& input, int rows, bool add, int16_t* out,
                 ptrdiff_t out_stride) {
  if (add) {
    linear(layer, input, rows, Rq16Out<true>{out, out_stride});
  } else {
    linear(layer, input, rows, Rq16Out<false>{out, out_stride});
  }
}

void linear8_rq16(const LinearView& layer, const int8_t* x, ptrdiff_t x_stride, int rows, bool add,
                  int16_t* out, ptrdiff_t out_stride) {
  linear_rq16(layer, Input8{x, x_stride}, rows, add, out, out_stride);
}

void linear16_rq16(const LinearView& layer, const int16_t* x, ptrdiff_t x_stride, int rows,
                   bool add, int16_t* out, ptrdiff_t out_stride) {
  linear_rq16(layer, Input16{x, x_stride}, rows, add, out, out_stride);
}

// Panels of 16 channels, the last one cut off; table look-up as in Table.
BSQ_INLINE void requant8_panels(const RequantView& requant, int first, int channels,
                                const int16_t* x, ptrdiff_t x_stride, int rows, const Rq& rq,
                                const Table& look, int8_t* out, ptrdiff_t out_stride) {
  for (int c = first; c < channels; c += kPanel) {
    const __mmask16 mask = lanes(channels - c);
    const __m512i m = _mm512_load_si512(requant.m + c);
    const __m512i m_odd = _mm512_srli_epi64(m, 32);
    for (int t = 0; t < rows; ++t) {
      const __m256i values = _mm256_maskz_loadu_epi16(mask, x + t * x_stride + c);
      const __m512i y = requantize(_mm512_cvtepi16_epi32(values), m, m_odd, rq);
      const __m512i bytes = limit8(_mm512_castsi128_si512(_mm512_cvtsepi32_epi8(y)));
      _mm_mask_storeu_epi8(out + t * out_stride + c, mask,
                           _mm512_castsi512_si128(look.look_up(bytes)));
    }
  }
}

void requant8(const RequantView& requant, int channels, const int16_t* x, ptrdiff_t x_stride,
              int rows, const int8_t* table, int8_t* out, ptrdiff_t out_stride) {
  const Rq rq = make_rq(requant.shift);
  const Table look(table);
  // Packing leaves four channels of each panel side by side in every lane.
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  int c = 0;
  for (; c + kBlock <= channels; c += kBlock) {
    __m512i m[4];
    __m512i m_odd[4];
#pragma GCC unroll 4
    for (int p = 0; p < 4; ++p) {
      m[p] = _mm512_load_si512(requant.m + c + kPanel * p);
      m_odd[p] = _mm512_srli_epi64(m[p], 32);
    }
    for (int t = 0; t < rows; ++t) {
      const int16_t* from = x + t * x_stride + c;
      __m512i a[4];
#pragma GCC unroll 4
      for (int p = 0; p < 4; ++p) {
        const auto* panel = reinterpret_cast<const __m256i*>(from + kPanel * p);
        const __m512i wide = _mm512_cvtepi16_epi32(_mm256_loadu_si256(panel));
        a[p] = requantize(wide, m[p], m_odd[p], rq);
      }
      const __m512i bytes =
          _mm512_packs_epi16(_mm512_packs_epi32(a[0], a[1]), _mm512_packs_epi32(a[2], a[3]));
      const __m512i values = limit8(_mm512_permutexvar_epi32(order, bytes));
      _mm512_storeu_si512(out + t * out_stride + c, look.look_up(values));
    }
  }
  requant8_panels(requant, c, channels, x, x_stride, rows, rq, look, out, out_stride);
}

// ---- depthwise convolution ----

constexpr int kColumns = 16;  // outputs whose inputs are interleaved at a time
constexpr int kQuads = 7;     // products per output: 25 taps in fours

// Four vectors of 64 channels become four of 16 channels with four bytes each, in the order that
// packing undoes.
BSQ_INLINE void interleave(__m512i a, __m512i b, __m512i c, __m512i d, __m512i* out) {
  const __m512i low_ab = _mm512_unpacklo_epi8(a, b);
  const __m512i high_ab = _mm512_unpackhi_epi8(a, b);
  const __m512i low_cd = _mm512_unpacklo_epi8(c, d);
  const __m512i high_cd = _mm512_unpackhi_epi8(c, d);
  out[0] = _mm512_unpacklo_epi16(low_ab, low_cd);
  out[1] = _mm512_unpackhi_epi16(low_ab, low_cd);
  out[2] = _mm512_unpacklo_epi16(high_ab, high_cd);
  out[3] = _mm512_unpackhi_epi16(high_ab, high_cd);
}

// The inputs of up to kColumns outputs, 64 channels: for every column the upper four rows, and
// four neighbours of the last row from it on.
struct Columns {
  __m512i upper[kColumns + 4][4];
  __m512i last[kColumns + 4][4];
};

BSQ_INLINE void gather(const int8_t* x, ptrdiff_t row_stride, int channels, int columns,
                       __mmask64 mask, Columns& to) {
  const __m512i offset = _mm512_set1_epi8(-128);
  const auto load = [&](int row, int column) __attribute__((always_inline)) {
    const int8_t* from = x + (row - 2) * row_stride + static_cast<ptrdiff_t>(column - 2) * channels;
    return _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, from), offset);
  };
  for (int j = 0; j < columns + 4; ++j) {
    interleave(load(0, j), load(1, j), load(2, j), load(3, j), to.upper[j]);
  }
  __m512i a = load(4, 0);
  __m512i b = load(4, 1);
  __m512i c = load(4, 2);
  for (int j = 0; j < columns + 4; ++j) {
    // Past the last column the weights are zero.
    const __m512i d = load(4, j + 3 < columns + 4 ? j + 3 : columns + 3);
    interleave(a, b, c, d, to.last[j]);
    a = b;
    b = c;
    c = d;
  }
}

// 16 channels of `columns` outputs with all weights in registers.
BSQ_INLINE void convolve(const DepthwiseView& layer, int panel, const Columns& from, int columns,
                         const Rq& rq, __m512i (&sums)[kColumns][4]) {
  const int8_t* weights = layer.w + static_cast<ptrdiff_t>(panel) * kQuads * 64;
  __m512i w[kQuads];
#pragma GCC unroll 7
  for (int i = 0; i < kQuads; ++i) w[i] = _mm512_load_si512(weights + 64 * i);
  const __m512i bias = _mm512_load_si512(layer.b + panel * kPanel);
  const __m512i m = _mm512_load_si512(layer.m + panel * kPanel);
  const __m512i m_odd = _mm512_srli_epi64(m, 32);
  const int p = panel % 4;
  for (int t = 0; t < columns; ++t) {
    __m512i sum = _mm512_dpbusd_epi32(bias, from.upper[t][p], w[0]);
    __m512i other = _mm512_dpbusd_epi32(_mm512_setzero_si512(), from.last[t][p], w[5]);
    sum = _mm512_dpbusd_epi32(sum, from.upper[t + 1][p], w[1]);
    other = _mm512_dpbusd_epi32(other, from.last[t + 4][p], w[6]);
    sum = _mm512_dpbusd_epi32(sum, from.upper[t + 2][p], w[2]);
    other = _mm512_dpbusd_epi32(other, from.upper[t + 3][p], w[3]);
    sum = _mm512_dpbusd_epi32(sum, from.upper[t + 4][p], w[4]);
    sums[t][p] = requantize(_mm512_add_epi32(sum, other), m, m_odd, rq);
  }
}

void dwconv5_rq8(const DepthwiseView& layer, const int8_t* x, ptrdiff_t row_stride, int count,
                 int8_t* out, ptrdiff_t out_stride) {
  const Rq rq = make_rq(layer.shift);
  Columns columns;
  __m512i sums[kColumns][4];
  for (int t = 0; t < count; t += kColumns) {
    const int part = count - t < kColumns ? count - t : kColumns;
    const int8_t* from = x + static_cast<ptrdiff_t>(t) * layer.channels;
    for (int c = 0; c < layer.channels; c += kBlock) {
      const int left = layer.channels - c;
      const __mmask64 mask = left >= kBlock ? ~__mmask64{0} : (__mmask64{1} << left) - 1;
      gather(from + c, row_stride, layer.channels, part, mask, columns);
      for (int p = 0; p < 4; ++p) convolve(layer, c / kPanel + p, columns, part, rq, sums);
      for (int i = 0; i < part; ++i) {
        const __m512i bytes = _mm512_packs_epi16(_mm512_packs_epi32(sums[i][0], sums[i][1]),
                                                 _mm512_packs_epi32(sums[i][2], sums[i][3]));
        _mm512_mask_storeu_epi8(out + (t + i) * out_stride + c, mask, limit8(bytes));
      }
    }
  }
}

}  // namespace

const KernelTable kKernelsAvx512Vnni = BSQ_KERNEL_TABLE(
    "avx512vnni", pack_linear8_vnni, pack_linear16_vnni, pack_depthwise_vnni, peak_avx512vnni);

}  // namespace bsq
