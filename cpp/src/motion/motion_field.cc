// Prediction of motion vectors from their coded neighbours (docs/bitstream.md, motion).
#include "motion/motion_field.h"

#include <algorithm>

namespace bsq {

namespace {

int16_t median_of(int16_t a, int16_t b, int16_t c) {
  return std::max(std::min(a, b), std::min(std::max(a, b), c));
}

// Whether the cell (nx, ny) precedes (cx, cy) in coding order: windows in raster order, in them
// parts, and in these cells.
bool precedes(int nx, int ny, int cx, int cy) {
  for (const int size : {kWindowCells, kPartCells}) {
    if (ny / size != cy / size) return ny < cy;
    if (nx / size != cx / size) return nx < cx;
  }
  return ny != cy ? ny < cy : nx < cx;
}

bool available(const MotionField& field, const WindowRect& block, const MotionSquare& s, int nx,
               int ny) {
  if (nx < kWindowCells * block.x_begin || ny < kWindowCells * block.y_begin) return false;
  if (nx >= std::min(kWindowCells * block.x_end, field.cells_x)) return false;
  if (ny >= std::min(kWindowCells * block.y_end, field.cells_y)) return false;
  return precedes(nx, ny, s.x, s.y);
}

}  // namespace

void take_motion(const MotionField& from, int narrower, MotionField& out) {
  if (narrower == 0) {
    out = from;
    return;
  }
  for (int y = 0; y < out.cells_y; ++y) {
    for (int x = 0; x < out.cells_x; ++x) {
      const Mv& v = from.mv_at(x << narrower, y);
      out.mv_at(x, y) = {static_cast<int16_t>(v.x >> narrower), v.y};
    }
  }
  // Windows of one vector are predicted at once, others cell by cell.
  constexpr uint8_t kAllCells = 31;
  for (int wy = 0; wy < out.windows_y; ++wy) {
    for (int wx = 0; wx < out.windows_x; ++wx) {
      const MotionSquare window{kWindowCells * wx, kWindowCells * wy, kWindowCells};
      bool same = true;
      out.for_cells(window, [&](int x, int y) {
        same = same && out.mv_at(x, y) == out.mv_at(window.x, window.y);
      });
      out.split_at(wx, wy) = same ? uint8_t{0} : kAllCells;
    }
  }
}

MotionNeighbours motion_neighbours(const MotionField& field, const WindowRect& block,
                                   const MotionSquare& square) {
  MotionNeighbours found;
  const auto take = [&](int slot, int nx, int ny) {
    if (!available(field, block, square, nx, ny)) return;
    found.mv[slot] = field.mv_at(nx, ny);
    found.has[slot] = true;
  };
  take(0, square.x - 1, square.y);
  take(1, square.x, square.y - 1);
  take(2, square.x + square.size, square.y - 1);
  if (!found.has[2]) take(2, square.x - 1, square.y - 1);
  return found;
}

Mv MotionNeighbours::median() const {
  if (has[0] + has[1] + has[2] == 1) return has[0] ? mv[0] : has[1] ? mv[1] : mv[2];
  return {median_of(mv[0].x, mv[1].x, mv[2].x), median_of(mv[0].y, mv[1].y, mv[2].y)};
}

}  // namespace bsq
