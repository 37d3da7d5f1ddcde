// The loops for any processor, and the choice.
#include "motion/search_kernels.h"

#include <string_view>

#include "kernels/kernel_table.h"
#include "motion/interpolate.h"
#include "motion/search_pixel.h"

namespace bsq {
namespace {

constexpr int kSide = 8;
constexpr int kMaxSample = 255;

void satd_pair(const uint8_t* a, ptrdiff_t a_stride, const uint8_t* b, ptrdiff_t b_stride,
               uint16_t costs[2]) {
  for (int i = 0; i < 2; ++i) {
    costs[i] = static_cast<uint16_t>(satd_8x8(a + i * kSide, a_stride, b + i * kSide, b_stride));
  }
}

void satd_pair_mean(const uint8_t* a, ptrdiff_t a_stride, const uint8_t* b, const uint8_t* c,
                    ptrdiff_t stride, uint16_t costs[2]) {
  for (int i = 0; i < 2; ++i) {
    const int at = i * kSide;
    costs[i] = static_cast<uint16_t>(satd_8x8_mean(a + at, a_stride, b + at, c + at, stride));
  }
}

void accumulate_sad4(const uint8_t* a, const uint8_t* b, int count, uint16_t* sums) {
  accumulate_sad(a, b, 4, count, sums);
}

void rows(const uint8_t* src, ptrdiff_t src_stride, int16_t* dst, ptrdiff_t dst_stride, int width,
          int height, const int16_t* taps) {
  filter_rows<kLumaTaps>(src, src_stride, dst, dst_stride, width, height, taps);
}

void columns(const uint8_t* src, ptrdiff_t src_stride, uint8_t* dst, ptrdiff_t dst_stride,
             int width, int height, const int16_t* taps) {
  filter_columns<kLumaTaps>(src, src_stride, dst, dst_stride, width, height, taps, kFilterShift,
                            kMaxSample);
}

void sums(const int16_t* src, ptrdiff_t src_stride, uint8_t* dst, ptrdiff_t dst_stride, int width,
          int height, const int16_t* taps) {
  filter_columns<kLumaTaps>(src, src_stride, dst, dst_stride, width, height, taps, 2 * kFilterShift,
                            kMaxSample);
}

}  // namespace

const SearchKernels kSearchBase = {
    .satd_pair = satd_pair,
    .satd_pair_mean = satd_pair_mean,
    .accumulate_sad4 = accumulate_sad4,
    .filter_rows = rows,
    .filter_columns = columns,
    .filter_sums = sums,
};

const SearchKernels& search_kernels(const KernelTable& set) {
#ifdef BSQ_HAVE_AVX2
  const std::string_view name = set.name;
  if (name == "avx2" || name == "avx512vnni") return kSearchAvx2;
#else
  static_cast<void>(set);
#endif
  return kSearchBase;
}

}  // namespace bsq
