// Motion vectors of a frame, as the codestream carries them, and the prediction of a vector.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace bsq {

inline constexpr int kMotionWindowSize = 32;  // luma samples
inline constexpr int kMotionPartSize = 16;    // luma samples
inline constexpr int kMvMin = -2048;          // quarter luma samples
inline constexpr int kMvMax = 2047;

// Displacement in quarter luma samples: the prediction of sample p is the reference at p + v / 4.
struct Mv {
  int16_t x = 0;
  int16_t y = 0;

  friend bool operator==(const Mv&, const Mv&) = default;
};

struct MotionField {
  int windows_x = 0;
  int windows_y = 0;
  int parts_x = 0;
  int parts_y = 0;
  std::vector<uint8_t> split;  // per window in raster order, 0 or 1
  std::vector<Mv> mv;          // per 16x16 part in raster order; all parts equal when split is 0

  MotionField() = default;
  // One unsplit window after the other with zero vectors, for a luma plane of this size.
  MotionField(int width, int height)
      : windows_x((width + kMotionWindowSize - 1) / kMotionWindowSize),
        windows_y((height + kMotionWindowSize - 1) / kMotionWindowSize),
        parts_x((width + kMotionPartSize - 1) / kMotionPartSize),
        parts_y((height + kMotionPartSize - 1) / kMotionPartSize),
        split(static_cast<size_t>(windows_x) * static_cast<size_t>(windows_y)),
        mv(static_cast<size_t>(parts_x) * static_cast<size_t>(parts_y)) {}

  uint8_t& split_at(int wx, int wy) { return split[window_index(wx, wy)]; }
  uint8_t split_at(int wx, int wy) const { return split[window_index(wx, wy)]; }
  Mv& mv_at(int px, int py) { return mv[part_index(px, py)]; }
  const Mv& mv_at(int px, int py) const { return mv[part_index(px, py)]; }

  // Makes the window one block with this vector.
  void set_window(int wx, int wy, Mv v);

 private:
  size_t window_index(int wx, int wy) const {
    return static_cast<size_t>(wy) * static_cast<size_t>(windows_x) + static_cast<size_t>(wx);
  }
  size_t part_index(int px, int py) const {
    return static_cast<size_t>(py) * static_cast<size_t>(parts_x) + static_cast<size_t>(px);
  }
};

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

// The predictor of an unsplit window's vector. Reads only vectors that precede it in coding order
// inside `block`, so encoder and decoder may call it with the rest still unset.
Mv predict_window_mv(const MotionField& field, const WindowRect& block, int wx, int wy);

// The predictor of the vector of one 16x16 part of a split window; same rules.
Mv predict_part_mv(const MotionField& field, const WindowRect& block, int px, int py);

}  // namespace bsq
