// Filters a reference at its sixteen phases with the filters that compensation uses.
#include "motion/search_phases.h"

#include <algorithm>

#include "motion/interpolate.h"

namespace bsq {

namespace {

constexpr int kBefore = kLumaTaps / 2 - 1;
constexpr int kMaxSample = 255;
constexpr int kTileWidth = 256;
constexpr int kTileHeight = 32;

// Sums of one filter to samples.
void round_rows(const int16_t* __restrict sums, uint8_t* __restrict dst, ptrdiff_t dst_stride,
                int width, int height) {
  for (int y = 0; y < height; ++y, sums += kTileWidth, dst += dst_stride) {
    for (int x = 0; x < width; ++x) {
      const int rounded = (sums[x] + (1 << (kFilterShift - 1))) >> kFilterShift;
      dst[x] = static_cast<uint8_t>(std::clamp(rounded, 0, kMaxSample));
    }
  }
}

}  // namespace

void PhasePlanes::allocate(int width, int height) {
  width_ = width;
  height_ = height;
  stride_ = width + 2 * kReach;
  plane_ = static_cast<size_t>(stride_) * static_cast<size_t>(row_count());
  samples_.resize(16 * plane_);
}

void PhasePlanes::fill_rows(const SearchFrame& reference, const SearchKernels& kernels, int begin,
                            int end) {
  const ptrdiff_t from = reference.stride(0);
  int16_t sums[(kTileHeight + kLumaTaps) * kTileWidth];
  for (int y = begin; y < end; y += kTileHeight) {
    const int rows = std::min(kTileHeight, end - y);
    for (int x = 0; x < stride_; x += kTileWidth) {
      const int columns = std::min<int>(kTileWidth, static_cast<int>(stride_) - x);
      const uint8_t* src = reference.at(0, x - kReach, y - kReach);
      for (int fx = 0; fx < 4; ++fx) {
        uint8_t* whole = samples_.data() + static_cast<size_t>(fx) * plane_ + y * stride_ + x;
        if (fx == 0) {
          for (int j = 0; j < rows; ++j) {
            std::copy_n(src + j * from, columns, whole + j * stride_);
          }
        } else {
          kernels.filter_rows(src - kBefore * from - kBefore, from, sums, kTileWidth, columns,
                              rows + kLumaTaps - 1, kLumaFilter[fx]);
          round_rows(sums + kBefore * kTileWidth, whole, stride_, columns, rows);
        }
        for (int fy = 1; fy < 4; ++fy) {
          uint8_t* dst = whole + static_cast<size_t>(4 * fy) * plane_;
          if (fx == 0) {
            kernels.filter_columns(src - kBefore * from, from, dst, stride_, columns, rows,
                                   kLumaFilter[fy]);
          } else {
            kernels.filter_sums(sums, kTileWidth, dst, stride_, columns, rows, kLumaFilter[fy]);
          }
        }
      }
    }
  }
}

}  // namespace bsq
