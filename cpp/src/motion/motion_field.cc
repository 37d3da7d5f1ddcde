// Prediction of motion vectors from their coded neighbours (docs/bitstream.md, motion).
#include "motion/motion_field.h"

#include <algorithm>

namespace bsq {

namespace {

int16_t median(int16_t a, int16_t b, int16_t c) {
  return std::max(std::min(a, b), std::min(std::max(a, b), c));
}

// A part is available if it exists, lies in the block and precedes the part (px, py) in coding
// order: windows in raster order, then the parts of a window in raster order.
bool available(const MotionField& field, const WindowRect& block, int px, int py, int nx, int ny) {
  if (nx < 2 * block.x_begin || ny < 2 * block.y_begin) return false;
  if (nx >= std::min(2 * block.x_end, field.parts_x)) return false;
  if (ny >= std::min(2 * block.y_end, field.parts_y)) return false;
  if (ny / 2 != py / 2) return ny < py;
  if (nx / 2 != px / 2) return nx < px;
  return ny != py ? ny < py : nx < px;
}

// Median prediction for a block of `size` parts a side whose first part is (px, py).
Mv predict(const MotionField& field, const WindowRect& block, int px, int py, int size) {
  const auto has = [&](int nx, int ny) { return available(field, block, px, py, nx, ny); };
  Mv found[3];
  int count = 0;
  Mv only;
  const auto take = [&](int slot, int nx, int ny) {
    found[slot] = field.mv_at(nx, ny);
    only = found[slot];
    ++count;
  };
  if (has(px - 1, py)) take(0, px - 1, py);
  if (has(px, py - 1)) take(1, px, py - 1);
  if (has(px + size, py - 1)) {
    take(2, px + size, py - 1);
  } else if (has(px - 1, py - 1)) {
    take(2, px - 1, py - 1);
  }
  if (count == 1) return only;
  return {median(found[0].x, found[1].x, found[2].x), median(found[0].y, found[1].y, found[2].y)};
}

}  // namespace

void MotionField::set_window(int wx, int wy, Mv v) {
  split_at(wx, wy) = 0;
  for (int py = 2 * wy; py < std::min(2 * wy + 2, parts_y); ++py) {
    for (int px = 2 * wx; px < std::min(2 * wx + 2, parts_x); ++px) mv_at(px, py) = v;
  }
}

Mv predict_window_mv(const MotionField& field, const WindowRect& block, int wx, int wy) {
  return predict(field, block, 2 * wx, 2 * wy, 2);
}

Mv predict_part_mv(const MotionField& field, const WindowRect& block, int px, int py) {
  return predict(field, block, px, py, 1);
}

}  // namespace bsq
