// Derives a sequence's geometry from its header.
#include "codec/geometry.h"

#include "quantizer/blocks.h"

namespace bsq {

Geometry Geometry::of(const bsq_sequence& sequence) {
  Geometry g;
  g.width = sequence.width;
  g.height = sequence.height;
  g.chroma = sequence.chroma;
  g.bit_depth = sequence.bit_depth;
  g.plane_count = g.chroma == BSQ_CHROMA_GRAY ? 1 : 3;
  const int coded_width = (g.width + 7) / 8 * 8;
  const int coded_height = (g.height + 7) / 8 * 8;
  const BlockGrid grid = block_grid(coded_width, coded_height);
  g.tokens_x = grid.tokens_x;
  g.tokens_y = grid.tokens_y;
  g.windows_x = grid.windows_x;
  g.windows_y = grid.windows_y;
  for (const BlockRect& b : grid.blocks) {
    g.blocks.push_back({b.x, b.y, b.x + b.width, b.y + b.height});
  }
  return g;
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
