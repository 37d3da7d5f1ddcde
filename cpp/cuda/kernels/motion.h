// Prediction on the device: motion compensation (docs/bitstream.md section 4.3) and enlarged base
// frames (section 3.6).
#pragma once

#include "cuda/kernels/samples.h"

namespace bsq::cuda {

// As Mv of motion/motion_field.h.
struct alignas(4) Vector {
  int16_t x;
  int16_t y;
};

// From one reference; a B frame has a launch for the first and then one for the second. A block
// makes one 8x8 sub-block of luma and its chroma.
struct CompensateKernel {
  static constexpr int kThreads = 64;
  static constexpr int kLumaRows = 8 + 7;  // that the columns of a sub-block are made from
  static constexpr int kChromaRows = 4 + 3;
  struct Shared {
    int32_t luma[kLumaRows * 8];
    int32_t chroma[2][kChromaRows * 4];
  };
  struct Local {};

  Planes reference;
  Planes out;
  const Vector* vectors;     // by sub-block
  const uint8_t* direction;  // likewise: the bits of the references; null where all have the first
  uint8_t own;               // the bit of this one
  int subblocks_x;
  int subblocks_y;
  int16_t luma_filter[4][8];
  int16_t chroma_filter[8][4];

  int64_t blocks() const { return static_cast<int64_t>(subblocks_x) * subblocks_y; }

  template <class Block>
  BSQ_DEVICE void run(Block& block) const {
    const int used = direction == nullptr ? 1 : direction[block.index()];
    if ((used & own) == 0) return;
    // The first reference's prediction is in place, to be averaged with.
    const bool averages = used == 3 && own == 2;
    const int cx = block.index() % subblocks_x;
    const int cy = block.index() / subblocks_x;
    const Vector v = vectors[block.index()];
    block.each([&](int thread, Local&) { filter_rows(thread, cx, cy, v, block.shared()); });
    block.each_apart(
        [&](int thread, Local&) { filter_columns(thread, cx, cy, v, averages, block.shared()); });
  }

 private:
  BSQ_DEVICE int32_t sample(int plane, int x, int y) const {
    return reference.at(plane, clamp(x, 0, reference.width[plane] - 1),
                        clamp(y, 0, reference.height[plane] - 1));
  }

  BSQ_DEVICE void filter_rows(int thread, int cx, int cy, Vector v, Shared& shared) const {
    for (int i = thread; i < kLumaRows * 8; i += kThreads) {
      const int x = cx * 8 + i % 8 + (v.x >> 2) - 3;
      const int y = cy * 8 + i / 8 + (v.y >> 2) - 3;
      int32_t sum = 0;
      for (int t = 0; t < 8; ++t) sum += luma_filter[v.x & 3][t] * sample(0, x + t, y);
      shared.luma[i] = sum;
    }
    for (int i = thread; i < (reference.count - 1) * kChromaRows * 4; i += kThreads) {
      const int plane = i / (kChromaRows * 4);
      const int j = i % (kChromaRows * 4);
      const int x = cx * 4 + j % 4 + (v.x >> 3) - 1;
      const int y = cy * 4 + j / 4 + (v.y >> 3) - 1;
      int32_t sum = 0;
      for (int t = 0; t < 4; ++t) sum += chroma_filter[v.x & 7][t] * sample(plane + 1, x + t, y);
      shared.chroma[plane][j] = sum;
    }
  }

  BSQ_DEVICE uint16_t rounded(int32_t sum) const {
    return static_cast<uint16_t>(clamp((sum + 2048) >> 12, 0, out.largest()));
  }

  BSQ_DEVICE static void put(uint16_t& sample, uint16_t value, bool averages) {
    sample = averages ? static_cast<uint16_t>((sample + value + 1) >> 1) : value;
  }

  BSQ_DEVICE void filter_columns(int thread, int cx, int cy, Vector v, bool averages,
                                 const Shared& shared) const {
    int32_t sum = 0;
    for (int t = 0; t < 8; ++t) sum += luma_filter[v.y & 3][t] * shared.luma[thread + 8 * t];
    put(out.at(0, cx * 8 + thread % 8, cy * 8 + thread / 8), rounded(sum), averages);
    const int plane = thread / 16;
    if (plane >= out.count - 1) return;
    const int j = thread % 16;
    sum = 0;
    for (int t = 0; t < 4; ++t) {
      sum += chroma_filter[v.y & 7][t] * shared.chroma[plane][j + 4 * t];
    }
    put(out.at(plane + 1, cx * 4 + j % 4, cy * 4 + j / 4), rounded(sum), averages);
  }
};

// A plane of a base frame, eight times as large. A thread makes one sample.
struct EnlargeKernel {
  static constexpr int kThreads = 128;

  Planes base;
  Planes out;
  int plane;
  int width;  // of the base's plane, cropped
  int height;
  int32_t filter[8][4];

  constexpr int64_t items() const {
    return static_cast<int64_t>(out.width[plane]) * out.height[plane];
  }
  BSQ_DEVICE void item(int64_t i) const {
    const int x = static_cast<int>(i % out.width[plane]);
    const int y = static_cast<int>(i / out.width[plane]);
    out.at(plane, x, y) = enlarged(x, y);
  }

 private:
  BSQ_DEVICE uint16_t enlarged(int x, int y) const {
    const int left = (x >> 3) - ((x & 7) < 4 ? 2 : 1);
    const int top = (y >> 3) - ((y & 7) < 4 ? 2 : 1);
    int32_t sum = 8192;
    for (int b = 0; b < 4; ++b) {
      int32_t row = 0;
      for (int a = 0; a < 4; ++a) {
        row += filter[x & 7][a] *
               base.at(plane, clamp(left + a, 0, width - 1), clamp(top + b, 0, height - 1));
      }
      sum += filter[y & 7][b] * row;
    }
    return static_cast<uint16_t>(clamp(sum >> 14, 0, out.largest()));
  }
};

}  // namespace bsq::cuda
