// Sizes of the frames of one component (docs/bitstream.md section 2.3) in samples, tokens,
// superblocks and tiles, computed once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/plane.h"
#include "base/tokens.h"
#include "bsq/bsq.h"

namespace bsq {

struct Geometry {
  int width = 0;  // luma samples shown
  int height = 0;
  int chroma = BSQ_CHROMA_420;
  int bit_depth = 8;
  int chroma_crf_offset = 0;  // see bsq_sequence
  int plane_count = 3;
  int first_plane = 0;  // where these stand among the planes of the whole frame
  int narrower = 0;     // log2 of how much narrower than the first component it is
  int tokens_x = 0;
  int tokens_y = 0;
  int superblocks_x = 0;
  int superblocks_y = 0;
  std::vector<SuperblockRect> tiles;  // each is entropy-coded on its own

  // Sides are 1 .. 8192 already; gray or 4:2:0.
  static Geometry of(int width, int height, int chroma, int bit_depth);

  int coded_width() const { return 8 * tokens_x; }
  int coded_height() const { return 8 * tokens_y; }
  int plane_width(int plane) const { return plane == 0 ? width : (width + 1) / 2; }
  int plane_height(int plane) const { return plane == 0 ? height : (height + 1) / 2; }
  size_t tokens() const { return static_cast<size_t>(tokens_x) * static_cast<size_t>(tokens_y); }
  size_t superblocks() const {
    return static_cast<size_t>(superblocks_x) * static_cast<size_t>(superblocks_y);
  }
  size_t superblock_index(int sx, int sy) const {
    return static_cast<size_t>(sy) * static_cast<size_t>(superblocks_x) + static_cast<size_t>(sx);
  }
  size_t token_index(int x, int y) const {
    return static_cast<size_t>(y) * static_cast<size_t>(tokens_x) + static_cast<size_t>(x);
  }

  // A frame of the coded size, all samples 0.
  Frame make_frame() const;
};

struct PlaneSize {
  int width = 0;
  int height = 0;
};

// Of a plane of a whole frame: luma, chroma, alpha.
inline PlaneSize plane_size(int width, int height, int chroma, int plane) {
  const bool is_chroma = chroma != BSQ_CHROMA_GRAY && (plane == 1 || plane == 2);
  if (is_chroma && chroma != BSQ_CHROMA_444) width = (width + 1) / 2;
  if (is_chroma && chroma == BSQ_CHROMA_420) height = (height + 1) / 2;
  return {width, height};
}
// `format`: a bsq_frame or bsq_sequence.
template <class Format>
PlaneSize plane_size(const Format& format, int plane) {
  return plane_size(format.width, format.height, format.chroma, plane);
}
inline int plane_count(const bsq_sequence& sequence) {
  return (sequence.chroma == BSQ_CHROMA_GRAY ? 1 : 3) + (sequence.alpha != 0 ? 1 : 0);
}

// The components of a sequence's frames: 4:2:2 and 4:4:4 have one for each plane, and alpha is one.
std::vector<Geometry> component_geometries(const bsq_sequence& sequence);

}  // namespace bsq
