// Motion vectors of a frame, as the codestream carries them, and the prediction of a vector.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace bsq {

inline constexpr int kMotionWindowSize = 32;                              // luma samples
inline constexpr int kMotionPartSize = 16;                                // luma samples
inline constexpr int kMotionCellSize = 8;                                 // luma samples
inline constexpr int kWindowCells = kMotionWindowSize / kMotionCellSize;  // along a side
inline constexpr int kPartCells = kMotionPartSize / kMotionCellSize;
inline constexpr int kMvMin = -2048;  // quarter luma samples
inline constexpr int kMvMax = 2047;

// Displacement in quarter luma samples: the prediction of sample p is the reference at p + v / 4.
struct Mv {
  int16_t x = 0;
  int16_t y = 0;

  friend bool operator==(const Mv&, const Mv&) = default;
};

// A square with one vector, in 8x8 cells: its first cell and its side, that of a window (4), of a
// part (2) or 1.
struct MotionSquare {
  int x = 0;
  int y = 0;
  int size = kWindowCells;
};

// 0 for a window, 1 for a part, 2 for a cell.
inline size_t size_class(const MotionSquare& s) {
  return s.size == kWindowCells ? 0U : s.size == kPartCells ? 1U : 2U;
}

struct MotionField {
  int windows_x = 0;
  int windows_y = 0;
  int parts_x = 0;
  int parts_y = 0;
  int cells_x = 0;
  int cells_y = 0;
  // Per window in raster order: 0, or 1 if its parts are coded alone, and then bit 1 + i is set if
  // so are the cells of part i.
  std::vector<uint8_t> split;
  std::vector<Mv> mv;  // per 8x8 cell in raster order; all cells of a square equal

  MotionField() = default;
  // One unsplit window after the other with zero vectors, for a luma plane of this size, of which
  // the sides are multiples of 8.
  MotionField(int width, int height) { reset(width, height); }
  void reset(int width, int height) {
    windows_x = (width + kMotionWindowSize - 1) / kMotionWindowSize;
    windows_y = (height + kMotionWindowSize - 1) / kMotionWindowSize;
    parts_x = (width + kMotionPartSize - 1) / kMotionPartSize;
    parts_y = (height + kMotionPartSize - 1) / kMotionPartSize;
    cells_x = (width + kMotionCellSize - 1) / kMotionCellSize;
    cells_y = (height + kMotionCellSize - 1) / kMotionCellSize;
    split.assign(static_cast<size_t>(windows_x) * static_cast<size_t>(windows_y), 0);
    mv.assign(static_cast<size_t>(cells_x) * static_cast<size_t>(cells_y), Mv{});
  }

  uint8_t& split_at(int wx, int wy) { return split[window_index(wx, wy)]; }
  uint8_t split_at(int wx, int wy) const { return split[window_index(wx, wy)]; }
  // Whether the part that holds the cell is split into its cells.
  bool cell_split_at(int cx, int cy) const {
    const int part = (cy / kPartCells & 1) * 2 + (cx / kPartCells & 1);
    return ((split_at(cx / kWindowCells, cy / kWindowCells) >> (1 + part)) & 1) != 0;
  }
  // Notes that a part is split into its cells; its window is split already.
  void split_cells(const MotionSquare& part) {
    const int i = (part.y / kPartCells & 1) * 2 + (part.x / kPartCells & 1);
    uint8_t& how = split_at(part.x / kWindowCells, part.y / kWindowCells);
    how = static_cast<uint8_t>(how | 2 << i);
  }
  size_t cell_index(int cx, int cy) const {
    return static_cast<size_t>(cy) * static_cast<size_t>(cells_x) + static_cast<size_t>(cx);
  }
  Mv& mv_at(int cx, int cy) { return mv[cell_index(cx, cy)]; }
  const Mv& mv_at(int cx, int cy) const { return mv[cell_index(cx, cy)]; }

  // fn(cx, cy) for the cells of the square that exist.
  template <class Fn>
  void for_cells(const MotionSquare& s, const Fn& fn) const {
    for (int cy = s.y; cy < std::min(s.y + s.size, cells_y); ++cy) {
      for (int cx = s.x; cx < std::min(s.x + s.size, cells_x); ++cx) fn(cx, cy);
    }
  }
  // Gives all cells of the square this vector.
  void set(const MotionSquare& s, Mv v) {
    for_cells(s, [&](int cx, int cy) { mv_at(cx, cy) = v; });
  }

  // fn(const MotionSquare&) for the squares of a window, in coding order.
  template <class Fn>
  void for_squares(int wx, int wy, const Fn& fn) const {
    const MotionSquare window{kWindowCells * wx, kWindowCells * wy, kWindowCells};
    const int how = split_at(wx, wy);
    if (how == 0) {
      fn(window);
      return;
    }
    for_quarters(window, [&](const MotionSquare& part, int i) {
      if ((how >> (1 + i) & 1) == 0) {
        fn(part);
      } else {
        for_quarters(part, [&](const MotionSquare& cell, int) { fn(cell); });
      }
    });
  }
  // fn(const MotionSquare&, int index) for the quarters of a square that exist, in raster order.
  template <class Fn>
  void for_quarters(const MotionSquare& s, const Fn& fn) const {
    const int half = s.size / 2;
    for (int i = 0; i < 4; ++i) {
      const MotionSquare quarter{s.x + (i & 1) * half, s.y + (i >> 1) * half, half};
      if (quarter.x < cells_x && quarter.y < cells_y) fn(quarter, i);
    }
  }

 private:
  size_t window_index(int wx, int wy) const {
    return static_cast<size_t>(wy) * static_cast<size_t>(windows_x) + static_cast<size_t>(wx);
  }
};

// The field of a plane of the size of `out` from that of a plane 2^narrower times as wide and
// equally high: docs/bitstream.md section 4.5.
void take_motion(const MotionField& from, int narrower, MotionField& out);

// A rectangle of windows, ends excluded: the block inside which vectors are predicted.
struct WindowRect {
  int x_begin = 0;
  int y_begin = 0;
  int x_end = 0;
  int y_end = 0;
};

inline WindowRect whole_frame(const MotionField& field) {
  return {0, 0, field.windows_x, field.windows_y};
}

// The vectors A, B and C of docs/bitstream.md section 4.2 that are available.
struct MotionNeighbours {
  Mv mv[3];
  bool has[3] = {};

  Mv median() const;
};

// Reads only vectors that precede the square's in coding order inside `block`, so encoder and
// decoder may call it with the rest still unset.
MotionNeighbours motion_neighbours(const MotionField& field, const WindowRect& block,
                                   const MotionSquare& square);

// The predictor of the square's vector; same rules.
inline Mv predict_mv(const MotionField& field, const WindowRect& block,
                     const MotionSquare& square) {
  return motion_neighbours(field, block, square).median();
}

}  // namespace bsq
