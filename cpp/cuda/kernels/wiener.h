// The Wiener filter on the device: docs/bitstream.md section 4.9.
#pragma once

#include "cuda/kernels/samples.h"

namespace bsq::cuda {

// Sums of absolute second differences of a square of 4x4 luma samples.
struct WienerDetail {
  int32_t vertical;
  int32_t horizontal;
};

// A thread takes one square.
struct WienerDetailKernel {
  static constexpr int kThreads = 128;

  Planes frame;
  int squares_x;
  int squares_y;
  WienerDetail* details;  // by place

  constexpr int64_t items() const { return static_cast<int64_t>(squares_x) * squares_y; }
  BSQ_DEVICE void item(int64_t place) const {
    const int left = static_cast<int>(place % squares_x) * 4;
    const int top = static_cast<int>(place / squares_x) * 4;
    WienerDetail sum{0, 0};
    for (int y = top; y < top + 4; ++y) {
      for (int x = left; x < left + 4; ++x) {
        const int twice = 2 * near(x, y);
        sum.vertical += magnitude(twice - near(x, y - 1) - near(x, y + 1));
        sum.horizontal += magnitude(twice - near(x - 1, y) - near(x + 1, y));
      }
    }
    details[place] = sum;
  }

 private:
  BSQ_DEVICE int near(int x, int y) const {
    return frame.at(0, clamp(x, 0, frame.width[0] - 1), clamp(y, 0, frame.height[0] - 1));
  }
};

// Classes: twice their number, plus 1 where the filter is transposed. A thread takes one square.
struct WienerClassKernel {
  static constexpr int kThreads = 128;

  const WienerDetail* details;
  int squares_x;
  int squares_y;
  int bit_depth;
  uint8_t* classes;

  constexpr int64_t items() const { return static_cast<int64_t>(squares_x) * squares_y; }
  BSQ_DEVICE void item(int64_t place) const {
    const int x = static_cast<int>(place % squares_x);
    const int y = static_cast<int>(place / squares_x);
    WienerDetail sum{0, 0};
    for (int j = -1; j <= 1; ++j) {
      for (int i = -1; i <= 1; ++i) {
        const int weight = (i == 0 ? 2 : 1) * (j == 0 ? 2 : 1);
        const WienerDetail near =
            details[clamp(y + j, 0, squares_y - 1) * squares_x + clamp(x + i, 0, squares_x - 1)];
        sum.vertical += weight * near.vertical;
        sum.horizontal += weight * near.horizontal;
      }
    }
    const int activity = (sum.vertical + sum.horizontal) >> (bit_depth - 8);
    const int level = activity >= 3072 ? 3 : activity >= 1280 ? 2 : activity >= 512 ? 1 : 0;
    const bool upright = sum.horizontal > 2 * sum.vertical;
    const bool directed = upright || sum.vertical > 2 * sum.horizontal;
    classes[place] = static_cast<uint8_t>(2 * (2 * level + (directed ? 1 : 0)) + (upright ? 1 : 0));
  }
};

// Filters a plane. A thread takes one sample.
struct WienerKernel {
  static constexpr int kThreads = 128;
  static constexpr int kTaps = 12;  // of a set and class, of which chroma uses 6
  static constexpr int kClasses = 8;

  Planes from;
  Planes to;
  int plane;
  const uint8_t* sample_coded;  // by token, not 0: stays; null: none
  const int16_t* numbers;       // of the sets, by superblock; -1: off
  int superblocks_x;
  const int16_t* sets;        // [sets, kClasses, kTaps]
  const uint8_t* classes;     // of luma
  int16_t offsets[kTaps][2];  // y, x
  uint8_t transposed[kTaps];

  constexpr int64_t items() const {
    return static_cast<int64_t>(from.width[plane]) * from.height[plane];
  }
  BSQ_DEVICE void item(int64_t i) const {
    const int x = static_cast<int>(i % from.width[plane]);
    const int y = static_cast<int>(i / from.width[plane]);
    const int side = plane == 0 ? 32 : 16;
    const int set = numbers[y / side * superblocks_x + x / side];
    if (set < 0) return;
    const int token = side / 4;
    if (sample_coded != nullptr && sample_coded[y / token * (from.width[0] / 8) + x / token] != 0) {
      return;
    }
    const int found = plane == 0 ? classes[y / 4 * (from.width[0] / 4) + x / 4] : 0;
    const int16_t* taps = sets + (set * kClasses + found / 2) * kTaps;
    const int middle = from.at(plane, x, y);
    int32_t sum = 64;
    for (int k = 0; k < (plane == 0 ? kTaps : kTaps / 2); ++k) {
      const int dy = offsets[k][0];
      const int dx = offsets[k][1];
      const int tap = taps[found % 2 != 0 ? transposed[k] : k];
      sum += tap * (near(x + dx, y + dy) + near(x - dx, y - dy) - 2 * middle);
    }
    to.at(plane, x, y) = static_cast<uint16_t>(clamp(middle + (sum >> 7), 0, from.largest()));
  }

 private:
  BSQ_DEVICE int near(int x, int y) const {
    return from.at(plane, clamp(x, 0, from.width[plane] - 1), clamp(y, 0, from.height[plane] - 1));
  }
};

}  // namespace bsq::cuda
