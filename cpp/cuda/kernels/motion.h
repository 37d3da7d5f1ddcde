// Prediction on the device: motion compensation (docs/bitstream.md sections 4.3, 4.6 and 4.7) and
// enlarged base frames (section 3.6).
#pragma once

#include "cuda/kernels/samples.h"

namespace bsq::cuda {

// As Mv of motion/motion_field.h.
struct alignas(4) Vector {
  int16_t x;
  int16_t y;
};

// L(n) of docs/numerics.md section 3.
BSQ_DEVICE int32_t side_log2(int32_t n) {
  int k = 0;
  while ((n + 1) >> (k + 1) != 0) ++k;
  return 64 * k + ((64 * (n + 1)) >> k) - 64;
}

// The whole prediction from one reference or two. A block makes one 8x8 sub-block of luma and its
// chroma, and mixes in what the motion of the sub-blocks around it predicts (section 4.7).
struct CompensateKernel {
  static constexpr int kThreads = 64;
  static constexpr int kLumaRows = 8 + 7;  // that the columns of a sub-block are made from
  static constexpr int kChromaRows = 4 + 3;
  static constexpr int kSides = 4;
  struct Shared {
    int32_t luma[kLumaRows * 8];
    int32_t chroma[2][kChromaRows * 4];
    int32_t differences[kThreads];  // of the two predictions of luma
  };
  // A sample of luma, and of the first threads one of chroma.
  struct Samples {
    int32_t luma;
    int32_t chroma;
  };
  struct Local {
    Samples predicted;  // by one motion
    Samples out;
  };

  Planes references[2];
  Planes out;
  const Vector* vectors[2];  // by reference, then by sub-block
  const uint8_t* direction;  // by sub-block, the bits of the references; null in a P frame
  int subblocks_x;
  int subblocks_y;
  int16_t luma_filter[4][8];
  int16_t chroma_filter[8][4];
  int32_t luma_parts[4];  // of the neighbours, in 32, from the edge on
  int32_t chroma_parts[2];
  int16_t* prediction_side;  // [sub-blocks, 2]: docs/numerics.md section 3

  int64_t blocks() const { return static_cast<int64_t>(subblocks_x) * subblocks_y; }

  template <class Block>
  BSQ_DEVICE void run(Block& block) const {
    const int own = block.index();
    predict(block, own);
    block.each_apart([&](int thread, Local& local) {
      local.out = local.predicted;
      if (thread < 2) {
        prediction_side[2 * own + thread] = static_cast<int16_t>(
            side_log2(thread == 0 ? difference(block.shared(), own) : motion_change(own)));
      }
    });
    for (int side = 0; side < kSides; ++side) {
      const int other = neighbour(own, side);
      if (other < 0 || same_prediction(own, other)) continue;
      predict(block, other);
      block.each_apart([&](int thread, Local& local) { mix(thread, side, local); });
    }
    block.each_apart([&](int thread, Local& local) { store(thread, own, local.out); });
  }

 private:
  // Left, right, above, below; -1 where the frame ends.
  BSQ_DEVICE int neighbour(int place, int side) const {
    const int x = place % subblocks_x + (side == 0 ? -1 : side == 1 ? 1 : 0);
    const int y = place / subblocks_x + (side == 2 ? -1 : side == 3 ? 1 : 0);
    return x < 0 || y < 0 || x >= subblocks_x || y >= subblocks_y ? -1 : y * subblocks_x + x;
  }

  BSQ_DEVICE int used(int place) const { return direction == nullptr ? 1 : direction[place]; }

  BSQ_DEVICE bool same_prediction(int a, int b) const {
    if (used(a) != used(b)) return false;
    for (int r = 0; r < 2; ++r) {
      if ((used(a) >> r & 1) == 0) continue;
      const Vector v = vectors[r][a];
      const Vector w = vectors[r][b];
      if (v.x != w.x || v.y != w.y) return false;
    }
    return true;
  }

  // How far the two predictions differ, in 8-bit samples; 0 where there is one.
  BSQ_DEVICE int32_t difference(const Shared& shared, int own) const {
    if (used(own) != 3) return 0;
    int32_t sum = 0;
    for (int i = 0; i < kThreads; ++i) sum += shared.differences[i];
    return sum >> (out.bit_depth - 8);
  }

  BSQ_DEVICE int32_t motion_change(int own) const {
    const Vector v = vectors[0][own];
    int32_t sum = 0;
    for (int side = 0; side < kSides; ++side) {
      const int other = neighbour(own, side);
      if (other < 0) continue;
      const Vector w = vectors[0][other];
      sum += (v.x < w.x ? w.x - v.x : v.x - w.x) + (v.y < w.y ? w.y - v.y : v.y - w.y);
    }
    return sum;
  }

  // The samples of the block's sub-block by the motion of any one.
  template <class Block>
  BSQ_DEVICE void predict(Block& block, int motion) const {
    const int cx = block.index() % subblocks_x;
    const int cy = block.index() / subblocks_x;
    const int bits = used(motion);
    for (int r = 0; r < 2; ++r) {
      if ((bits >> r & 1) == 0) continue;
      const Vector v = vectors[r][motion];
      block.each([&](int thread, Local&) {
        filter_rows(thread, references[r], cx, cy, v, block.shared());
      });
      // The first reference's prediction is in place, to be averaged with.
      const bool averages = bits == 3 && r == 1;
      block.each([&](int thread, Local& local) {
        filter_columns(thread, v, averages, block.shared(), local.predicted);
      });
    }
  }

  BSQ_DEVICE static int32_t sample(const Planes& reference, int plane, int x, int y) {
    return reference.at(plane, clamp(x, 0, reference.width[plane] - 1),
                        clamp(y, 0, reference.height[plane] - 1));
  }

  BSQ_DEVICE void filter_rows(int thread, const Planes& reference, int cx, int cy, Vector v,
                              Shared& shared) const {
    for (int i = thread; i < kLumaRows * 8; i += kThreads) {
      const int x = cx * 8 + i % 8 + (v.x >> 2) - 3;
      const int y = cy * 8 + i / 8 + (v.y >> 2) - 3;
      int32_t sum = 0;
      for (int t = 0; t < 8; ++t) sum += luma_filter[v.x & 3][t] * sample(reference, 0, x + t, y);
      shared.luma[i] = sum;
    }
    for (int i = thread; i < (reference.count - 1) * kChromaRows * 4; i += kThreads) {
      const int plane = i / (kChromaRows * 4);
      const int j = i % (kChromaRows * 4);
      const int x = cx * 4 + j % 4 + (v.x >> 3) - 1;
      const int y = cy * 4 + j / 4 + (v.y >> 3) - 1;
      int32_t sum = 0;
      for (int t = 0; t < 4; ++t) {
        sum += chroma_filter[v.x & 7][t] * sample(reference, plane + 1, x + t, y);
      }
      shared.chroma[plane][j] = sum;
    }
  }

  // Returns how far the sample was from the new one that it is averaged with.
  BSQ_DEVICE int32_t put(int32_t& sample, int32_t sum, bool averages) const {
    const int32_t value = clamp((sum + 2048) >> 12, 0, out.largest());
    if (!averages) {
      sample = value;
      return 0;
    }
    const int32_t difference = sample < value ? value - sample : sample - value;
    sample = (sample + value + 1) >> 1;
    return difference;
  }

  BSQ_DEVICE bool has_chroma(int thread) const { return thread / 16 < out.count - 1; }

  BSQ_DEVICE void filter_columns(int thread, Vector v, bool averages, Shared& shared,
                                 Samples& predicted) const {
    int32_t sum = 0;
    for (int t = 0; t < 8; ++t) sum += luma_filter[v.y & 3][t] * shared.luma[thread + 8 * t];
    shared.differences[thread] = put(predicted.luma, sum, averages);
    if (!has_chroma(thread)) return;
    sum = 0;
    for (int t = 0; t < 4; ++t) {
      sum += chroma_filter[v.y & 7][t] * shared.chroma[thread / 16][thread % 16 + 4 * t];
    }
    put(predicted.chroma, sum, averages);
  }

  // Lines between a sample and the edge, in a sub-block of `size` samples.
  BSQ_DEVICE static int line(int i, int size, int side) {
    const int at = side < 2 ? i % size : i / size;
    return side % 2 == 0 ? at : size - 1 - at;
  }
  BSQ_DEVICE static void mix(int32_t& sample, int32_t other, int32_t part) {
    sample = (sample * (32 - part) + other * part + 16) >> 5;
  }
  BSQ_DEVICE void mix(int thread, int side, Local& local) const {
    const int luma = line(thread, 8, side);
    if (luma < 4) mix(local.out.luma, local.predicted.luma, luma_parts[luma]);
    if (!has_chroma(thread)) return;
    const int chroma = line(thread % 16, 4, side);
    if (chroma < 2) mix(local.out.chroma, local.predicted.chroma, chroma_parts[chroma]);
  }

  BSQ_DEVICE void store(int thread, int place, const Samples& samples) const {
    const int cx = place % subblocks_x;
    const int cy = place / subblocks_x;
    out.at(0, cx * 8 + thread % 8, cy * 8 + thread / 8) = static_cast<uint16_t>(samples.luma);
    if (!has_chroma(thread)) return;
    const int j = thread % 16;
    out.at(thread / 16 + 1, cx * 4 + j % 4, cy * 4 + j / 4) = static_cast<uint16_t>(samples.chroma);
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
