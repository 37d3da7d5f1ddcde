// Derives the geometry of a sequence's components from its header.
#include "codec/common/geometry.h"

#include <utility>

#include "codec/common/tile_grid.h"

namespace bsq {

Geometry Geometry::of(int width, int height, int chroma, int bit_depth) {
  Geometry g;
  g.width = width;
  g.height = height;
  g.chroma = chroma;
  g.bit_depth = bit_depth;
  g.plane_count = g.chroma == BSQ_CHROMA_GRAY ? 1 : 3;
  const int coded_width = (g.width + 7) / 8 * 8;
  const int coded_height = (g.height + 7) / 8 * 8;
  TileGrid grid = tile_grid(coded_width, coded_height);
  g.tokens_x = grid.tokens_x;
  g.tokens_y = grid.tokens_y;
  g.superblocks_x = grid.superblocks_x;
  g.superblocks_y = grid.superblocks_y;
  g.tiles = std::move(grid.tiles);
  return g;
}

std::vector<Geometry> component_geometries(const bsq_sequence& s) {
  const bool several = s.chroma > BSQ_CHROMA_420;
  std::vector<Geometry> components{
      Geometry::of(s.width, s.height, several ? BSQ_CHROMA_GRAY : s.chroma, s.bit_depth)};
  components.front().chroma_crf_offset = s.chroma_crf_offset;
  const auto add = [&](int narrower) {
    const int width = narrower == 0 ? s.width : (s.width + 1) / 2;
    Geometry g = Geometry::of(width, s.height, BSQ_CHROMA_GRAY, s.bit_depth);
    g.first_plane = components.back().first_plane + components.back().plane_count;
    g.narrower = narrower;
    components.push_back(std::move(g));
  };
  if (several) {
    const int narrower = s.chroma == BSQ_CHROMA_422 ? 1 : 0;
    add(narrower);
    add(narrower);
  }
  if (s.alpha != 0) add(0);
  return components;
}

Frame Geometry::make_frame() const {
  Frame frame;
  frame.bit_depth = bit_depth;
  frame.plane_count = plane_count;
  for (int p = 0; p < plane_count; ++p) {
    const int divisor = p == 0 ? 1 : 2;
    frame.planes[p] = Plane(coded_width() / divisor, coded_height() / divisor);
  }
  return frame;
}

}  // namespace bsq
