// Prediction of motion vectors from their coded neighbours (docs/bitstream.md, motion).
#include "motion/motion_field.h"

#include <algorithm>

namespace bsq {

namespace {

int16_t median_of(int16_t a, int16_t b, int16_t c) {
  return std::max(std::min(a, b), std::min(std::max(a, b), c));
}

// Whether the sub-block (nx, ny) precedes (cx, cy) in coding order: superblocks in raster order, in
// them blocks, and in these sub-blocks.
bool precedes(int nx, int ny, int cx, int cy) {
  for (const int size : {kSuperblockSubblocks, kBlockSubblocks}) {
    if (ny / size != cy / size) return ny < cy;
    if (nx / size != cx / size) return nx < cx;
  }
  return ny != cy ? ny < cy : nx < cx;
}

bool available(const MotionField& field, const SuperblockRect& tile, const MotionSquare& s, int nx,
               int ny) {
  if (nx < kSuperblockSubblocks * tile.x_begin || ny < kSuperblockSubblocks * tile.y_begin)
    return false;
  if (nx >= std::min(kSuperblockSubblocks * tile.x_end, field.subblocks_x)) return false;
  if (ny >= std::min(kSuperblockSubblocks * tile.y_end, field.subblocks_y)) return false;
  return precedes(nx, ny, s.x, s.y);
}

}  // namespace

void take_motion(const MotionField& from, int narrower, MotionField& out) {
  if (narrower == 0) {
    out = from;
    return;
  }
  out.set_b(from.is_b());
  const auto narrowed = [&](Mv v) { return Mv{static_cast<int16_t>(v.x >> narrower), v.y}; };
  for (int y = 0; y < out.subblocks_y; ++y) {
    for (int x = 0; x < out.subblocks_x; ++x) {
      const size_t source = from.subblock_index(x << narrower, y);
      const size_t at = out.subblock_index(x, y);
      out.mv[at] = narrowed(from.mv[source]);
      if (!from.is_b()) continue;
      out.second[at] = narrowed(from.second[source]);
      out.direction[at] = from.direction[source];
    }
  }
  // Superblocks of one vector are predicted at once, others sub-block by sub-block.
  constexpr uint8_t kAllSplit = 31;
  for (int sy = 0; sy < out.superblocks_y; ++sy) {
    for (int sx = 0; sx < out.superblocks_x; ++sx) {
      const MotionSquare superblock{kSuperblockSubblocks * sx, kSuperblockSubblocks * sy,
                                    kSuperblockSubblocks};
      const size_t first = out.subblock_index(superblock.x, superblock.y);
      bool same = true;
      out.for_subblocks(superblock, [&](int x, int y) {
        same = same && out.same_motion(out.subblock_index(x, y), first);
      });
      out.split_at(sx, sy) = same ? uint8_t{0} : kAllSplit;
    }
  }
}

NeighbourPlaces neighbour_places(const MotionField& field, const SuperblockRect& tile,
                                 const MotionSquare& square) {
  NeighbourPlaces found;
  const auto take = [&](size_t slot, int nx, int ny) {
    if (!available(field, tile, square, nx, ny)) return;
    found.at[slot] = static_cast<int>(field.subblock_index(nx, ny));
  };
  take(0, square.x - 1, square.y);
  take(1, square.x, square.y - 1);
  take(2, square.x + square.size, square.y - 1);
  if (found.at[2] < 0) take(2, square.x - 1, square.y - 1);
  return found;
}

MotionNeighbours::MotionNeighbours(const NeighbourPlaces& places, const std::vector<Mv>& vectors) {
  for (size_t i = 0; i < 3; ++i) {
    has[i] = places.at[i] >= 0;
    if (has[i]) mv[i] = vectors[static_cast<size_t>(places.at[i])];
  }
}

Mv MotionNeighbours::median() const {
  if (has[0] + has[1] + has[2] == 1) return has[0] ? mv[0] : has[1] ? mv[1] : mv[2];
  return {median_of(mv[0].x, mv[1].x, mv[2].x), median_of(mv[0].y, mv[1].y, mv[2].y)};
}

}  // namespace bsq
