// Pixel differences of the motion search, written so that compilers vectorise them.
#include "motion/search_pixel.h"

#include <algorithm>
#include <cstdlib>

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

// Sums and differences of rows `step` apart: one stage of the vertical Hadamard transform.
template <int kWidth>
void butterfly_rows(int16_t* d, int step) {
  for (int y = 0; y < 8; ++y) {
    if (y & step) continue;
    int16_t* top = d + y * kWidth;
    int16_t* bottom = d + (y + step) * kWidth;
    for (int x = 0; x < kWidth; ++x) {
      const int16_t s = static_cast<int16_t>(top[x] + bottom[x]);
      const int16_t t = static_cast<int16_t>(top[x] - bottom[x]);
      top[x] = s;
      bottom[x] = t;
    }
  }
}

// One stage of the horizontal transform over all blocks at once: neighbours are combined, and the
// halves of the output hold sums and differences, so that three equal stages make the transform.
template <int kCount>
void butterfly_neighbours(const int16_t* __restrict src, int16_t* __restrict dst) {
  for (int i = 0; i < kCount / 2; ++i) {
    dst[i] = static_cast<int16_t>(src[2 * i] + src[2 * i + 1]);
    dst[kCount / 2 + i] = static_cast<int16_t>(src[2 * i] - src[2 * i + 1]);
  }
}

// 8 rows of kWidth samples. Coefficients fit 16 bits: 64 * 255 = 16320.
template <int kWidth>
int satd_strip(const uint8_t* a, ptrdiff_t a_stride, const uint8_t* b, ptrdiff_t b_stride) {
  constexpr int kCount = 8 * kWidth;
  alignas(64) int16_t d[kCount];
  alignas(64) int16_t e[kCount];
  for (int y = 0; y < 8; ++y) {
    for (int x = 0; x < kWidth; ++x) {
      d[y * kWidth + x] = static_cast<int16_t>(a[y * a_stride + x] - b[y * b_stride + x]);
    }
  }
  butterfly_rows<kWidth>(d, 1);
  butterfly_rows<kWidth>(d, 2);
  butterfly_rows<kWidth>(d, 4);
  butterfly_neighbours<kCount>(d, e);
  butterfly_neighbours<kCount>(e, d);
  int sum = 0;
  for (int i = 0; i < kCount / 2; ++i) {
    // |a + b| + |a - b| = 2 max(|a|, |b|), which is the last stage and its absolute sum.
    const int16_t p = d[2 * i];
    const int16_t q = d[2 * i + 1];
    const int16_t abs_p = std::max(p, static_cast<int16_t>(-p));
    const int16_t abs_q = std::max(q, static_cast<int16_t>(-q));
    sum += std::max(abs_p, abs_q);
  }
  return sum;
}

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

int block_satd(const uint8_t* a, ptrdiff_t a_stride, const uint8_t* b, ptrdiff_t b_stride,
               int width, int height) {
  int sum = 0;
  for (int y = 0; y < height; y += 8, a += 8 * a_stride, b += 8 * b_stride) {
    int x = 0;
    if (width == 32) {
      sum += satd_strip<32>(a, a_stride, b, b_stride);
      continue;
    }
    for (; width - x >= 16; x += 16) sum += satd_strip<16>(a + x, a_stride, b + x, b_stride);
    if (x < width) sum += satd_strip<8>(a + x, a_stride, b + x, b_stride);
  }
  return sum / 2;
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
