// Pixel differences of the motion search. The search works on 8-bit luma whatever the depth.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bsq {

// Sum of absolute differences; width is a sum of 16, 8, 4 and 2, at most 32.
int block_sad(const uint8_t* a, ptrdiff_t a_stride, const uint8_t* b, ptrdiff_t b_stride, int width,
              int height);

// Sum of the absolute Hadamard coefficients of an 8x8 sub-block over 4, at most 32640: closer than
// SAD to what a difference costs to code; twice the SAD where the difference is noise, far less
// where it is smooth.
int satd_8x8(const uint8_t* a, ptrdiff_t a_stride, const uint8_t* b, ptrdiff_t b_stride);

// The same of `a` and the mean of `b` and `c`, rounded up, which have one stride.
int satd_8x8_mean(const uint8_t* a, ptrdiff_t a_stride, const uint8_t* b, const uint8_t* c,
                  ptrdiff_t stride);

// Sums of absolute differences at `count` neighbouring places at once: sums[i] grows by the
// difference of a[0..width) and b[i..i + width). Width is 2 or 4; count is rounded up to 16.
void accumulate_sad(const uint8_t* a, const uint8_t* b, int width, int count, uint16_t* sums);

// Means of 2x2 samples.
void halve(const uint8_t* src, ptrdiff_t src_stride, uint8_t* dst, ptrdiff_t dst_stride,
           int dst_width, int dst_height);

}  // namespace bsq
