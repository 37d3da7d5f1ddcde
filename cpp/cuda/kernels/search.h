// What the encoder's motion search looks at, on the device: 8-bit luma in three sizes, as
// motion/search_frame.h has it, and the reference at all phases, as motion/search_phases.h.
#pragma once

#include "cuda/kernels/motion.h"
#include "motion/search_cost.h"

namespace bsq::cuda {

BSQ_DEVICE bool operator==(Vector a, Vector b) { return a.x == b.x && a.y == b.y; }

BSQ_DEVICE Vector vector_of(int x, int y) {
  return {static_cast<int16_t>(x), static_cast<int16_t>(y)};
}

// One size of a frame with kSearchPad replicated samples around it. Sample (0, 0) and the stride
// are at multiples of 16 bytes, and some bytes may be read beyond the last.
struct SearchLevel {
  uint8_t* origin;
  int width;
  int height;
  int stride;

  BSQ_DEVICE const uint8_t* at(int x, int y) const {
    return origin + static_cast<int64_t>(y) * stride + x;
  }
};

struct SearchLevels {
  SearchLevel level[kSearchLevels];
};

// Samples as words: those that hold the byte at `from` and the ones after it, and where in the
// first of them it lies.
BSQ_DEVICE int byte_in_word(const uint8_t* from) {
  return static_cast<int>(reinterpret_cast<uintptr_t>(from) & 3);
}
BSQ_DEVICE const uint32_t* words_at(const uint8_t* from) {
  return reinterpret_cast<const uint32_t*>(from - byte_in_word(from));
}

// ShiftLimits of motion/search_frame.h.
struct SearchLimits {
  int x_min, x_max, y_min, y_max;

  // Of an area in full-size samples at a level.
  BSQ_DEVICE static SearchLimits of(const SearchLevels& frame, int level, int x, int y, int width,
                                    int height) {
    const int reach = kSearchReach >> level;
    const int lowest = (kMvMin / 4 + 1) >> level;
    const int highest = (kMvMax / 4 - 1) >> level;
    const SearchLevel& p = frame.level[level];
    SearchLimits limits{-(x >> level) - reach, p.width - ((x + width) >> level) + reach,
                        -(y >> level) - reach, p.height - ((y + height) >> level) + reach};
    limits.narrow(lowest, highest);
    return limits;
  }
  // To displacements of [low, high] on both axes.
  BSQ_DEVICE void narrow(int low, int high) {
    x_min = x_min < low ? low : x_min;
    y_min = y_min < low ? low : y_min;
    x_max = x_max > high ? high : x_max;
    y_max = y_max > high ? high : y_max;
  }
  BSQ_DEVICE bool contains(int x, int y) const {
    return x >= x_min && x <= x_max && y >= y_min && y <= y_max;
  }
  BSQ_DEVICE Vector clamped(int x, int y) const {
    return vector_of(clamp(x, x_min, x_max), clamp(y, y_min, y_max));
  }
};

// All sizes of both frames, edges included. A block makes a row, a thread four samples, each from
// the source: smaller sizes cost up to sixteen reads, and need not wait for the larger ones.
struct SearchFrameKernel {
  static constexpr int kThreads = 256;
  static constexpr int kFrames = 2;
  struct Shared {};
  struct Local {};

  Planes from[kFrames];
  SearchLevels to[kFrames];

  int64_t blocks() const {
    int64_t rows = 0;
    for (const SearchLevel& level : to[0].level) rows += level.height + 2 * kSearchPad;
    return kFrames * rows;
  }

  template <class Block>
  BSQ_DEVICE void run(Block& block) const {
    const int frame = block.index() % kFrames;
    int row = block.index() / kFrames;
    int size = 0;
    while (row >= to[0].level[size].height + 2 * kSearchPad) {
      row -= to[0].level[size].height + 2 * kSearchPad;
      ++size;
    }
    const SearchLevel& level = to[frame].level[size];
    const int y = clamp(row - kSearchPad, 0, level.height - 1);
    block.each_apart([&](int thread, Local&) {
      for (int x = 4 * thread; x < level.stride; x += 4 * kThreads) {
        uint32_t word = 0;
        for (int i = 0; i < 4; ++i) {
          const int inside = clamp(x + i - kSearchPad, 0, level.width - 1);
          word |= sample(from[frame], size, inside, y) << (8 * i);
        }
        uint8_t* out = level.origin + static_cast<int64_t>(row - kSearchPad) * level.stride;
        *reinterpret_cast<uint32_t*>(out + x - kSearchPad) = word;
      }
    });
  }

 private:
  BSQ_DEVICE static uint32_t sample(const Planes& frame, int size, int x, int y) {
    return size == 0 ? full(frame, x, y) : size == 1 ? half(frame, x, y) : quarter(frame, x, y);
  }
  BSQ_DEVICE static uint32_t full(const Planes& frame, int x, int y) {
    const int shift = frame.bit_depth - 8;
    const int value = (frame.at(0, x, y) + ((1 << shift) >> 1)) >> shift;
    return static_cast<uint32_t>(value > 255 ? 255 : value);
  }
  BSQ_DEVICE static uint32_t half(const Planes& frame, int x, int y) {
    const int left = 2 * x;
    const int top = 2 * y;
    return (full(frame, left, top) + full(frame, left + 1, top) + full(frame, left, top + 1) +
            full(frame, left + 1, top + 1) + 2) >>
           2;
  }
  BSQ_DEVICE static uint32_t quarter(const Planes& frame, int x, int y) {
    const int left = 2 * x;
    const int top = 2 * y;
    return (half(frame, left, top) + half(frame, left + 1, top) + half(frame, left, top + 1) +
            half(frame, left + 1, top + 1) + 2) >>
           2;
  }
};

// The reference at its sixteen quarter-sample phases, kPhaseReach samples around it included.
struct PhasePlanes {
  uint8_t* samples;
  int stride;     // a multiple of kTileWidth of PhaseKernel
  int64_t plane;  // samples

  // The prediction of the sample (x, y) with the vector v, and to its right its neighbours'.
  BSQ_DEVICE const uint8_t* at(int x, int y, Vector v) const {
    const int phase = (v.y & 3) * 4 + (v.x & 3);
    return samples + phase * plane + static_cast<int64_t>(y + (v.y >> 2) + kPhaseReach) * stride +
           x + (v.x >> 2) + kPhaseReach;
  }
};

// A block makes a tile of all phases from one look at the reference: sums of the rows, unrounded,
// are shared by the phases below each other. A thread makes four samples side by side of each.
struct PhaseKernel {
  static constexpr int kThreads = 256;
  static constexpr int kTileWidth = 64;
  static constexpr int kTileHeight = 16;
  static constexpr int kTaps = 8;
  static constexpr int kBefore = 3;
  static constexpr int kRows = kTileHeight + kTaps - 1;
  static constexpr int kColumns = kTileWidth + kTaps - 1;
  static_assert(kThreads * 4 == kTileWidth * kTileHeight);
  struct Shared {
    uint8_t samples[kRows][kColumns + 1];
    int16_t sums[3][kRows][kTileWidth];
  };
  struct Local {};

  SearchLevel reference;
  PhasePlanes out;
  int16_t filter[4][kTaps];

  int tiles_x() const { return out.stride / kTileWidth; }
  int64_t blocks() const {
    const int rows = reference.height + 2 * kPhaseReach;
    return int64_t{(rows + kTileHeight - 1) / kTileHeight} * tiles_x();
  }

  template <class Block>
  BSQ_DEVICE void run(Block& block) const {
    const int columns = out.stride / kTileWidth;
    const int left = block.index() % columns * kTileWidth;
    const int top = block.index() / columns * kTileHeight;
    Shared& shared = block.shared();
    block.each([&](int thread, Local&) {
      for (int i = thread; i < kRows * kColumns; i += kThreads) {
        const int x = left + i % kColumns - kBefore - kPhaseReach;
        const int y = top + i / kColumns - kBefore - kPhaseReach;
        shared.samples[i / kColumns][i % kColumns] =
            *reference.at(clamp(x, 0, reference.width - 1), clamp(y, 0, reference.height - 1));
      }
    });
    block.each([&](int thread, Local&) {
      for (int i = thread; i < kRows * kTileWidth; i += kThreads) {
        for (int f = 1; f < 4; ++f) {
          const uint8_t* from = &shared.samples[i / kTileWidth][i % kTileWidth];
          int sum = 0;
          for (int t = 0; t < kTaps; ++t) sum += filter[f][t] * from[t];
          shared.sums[f - 1][i / kTileWidth][i % kTileWidth] = static_cast<int16_t>(sum);
        }
      }
    });
    block.each_apart([&](int thread, Local&) {
      const int x = thread % (kTileWidth / 4) * 4;
      const int y = thread / (kTileWidth / 4);
      if (top + y >= reference.height + 2 * kPhaseReach) return;
      BSQ_UNROLL
      for (int fx = 0; fx < 4; ++fx) {
        uint32_t words[4] = {0, 0, 0, 0};
        for (int i = 0; i < 4; ++i) filter_column(shared, fx, x + i, y, 8 * i, words);
        uint8_t* to =
            out.samples + fx * out.plane + static_cast<int64_t>(top + y) * out.stride + left + x;
        BSQ_UNROLL
        for (int fy = 0; fy < 4; ++fy) {
          *reinterpret_cast<uint32_t*>(to + 4 * fy * out.plane) = words[fy];
        }
      }
    });
  }

 private:
  BSQ_DEVICE static uint32_t rounded(int sum, int shift) {
    return static_cast<uint32_t>(clamp((sum + (1 << (shift - 1))) >> shift, 0, 255));
  }

  // The sample at all phases of a column, into the byte of the words that begins at bit `at`.
  BSQ_DEVICE void filter_column(const Shared& shared, int fx, int x, int y, int at,
                                uint32_t (&words)[4]) const {
    int column[kTaps];
    for (int t = 0; t < kTaps; ++t) {
      column[t] = fx == 0 ? shared.samples[y + t][x + kBefore] : shared.sums[fx - 1][y + t][x];
    }
    const int shift = fx == 0 ? 6 : 12;
    words[0] |= (fx == 0 ? static_cast<uint32_t>(column[kBefore]) : rounded(column[kBefore], 6))
                << at;
    BSQ_UNROLL
    for (int fy = 1; fy < 4; ++fy) {
      int sum = 0;
      for (int t = 0; t < kTaps; ++t) sum += filter[fy][t] * column[t];
      words[fy] |= rounded(sum, shift) << at;
    }
  }
};

}  // namespace bsq::cuda
