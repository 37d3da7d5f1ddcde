// Motion compensation by the HEVC interpolation filters (docs/bitstream.md, motion).
#include "motion/compensate.h"

#include <algorithm>

#include "motion/interpolate.h"

namespace bsq {

namespace {

// A block of one plane, in samples of that plane, and its vector split into whole and fraction.
struct Block {
  int x, y, width, height;
  int dx, dy;
  const int16_t* fx;
  const int16_t* fy;
};

// Copies the rectangle at (x, y), taking the nearest edge sample where it leaves the plane.
void fetch_clamped(const ConstPlaneView& ref, int x, int y, int width, int height, uint16_t* dst,
                   ptrdiff_t dst_stride) {
  for (int j = 0; j < height; ++j, dst += dst_stride) {
    const uint16_t* row = ref.row(std::clamp(y + j, 0, ref.height - 1));
    for (int i = 0; i < width; ++i) dst[i] = row[std::clamp(x + i, 0, ref.width - 1)];
  }
}

template <int kTaps, typename Mid>
void compensate_block(const ConstPlaneView& ref, const Block& b, int max, const PlaneView& out) {
  constexpr int kBefore = kTaps / 2 - 1;
  constexpr int kMargin = kTaps - 1;
  constexpr ptrdiff_t kPatchStride = kSuperblockSize + kMargin;
  const int x = b.x + b.dx;
  const int y = b.y + b.dy;
  uint16_t* dst = out.row(b.y) + b.x;
  const bool inside = x >= kBefore && y >= kBefore &&
                      x + b.width + kMargin - kBefore <= ref.width &&
                      y + b.height + kMargin - kBefore <= ref.height;
  if (inside) {
    interpolate_block<kTaps, Mid>(ref.row(y) + x, ref.stride, dst, out.stride, b.width, b.height,
                                  b.fx, b.fy, max);
    return;
  }
  uint16_t patch[kPatchStride * kPatchStride];
  fetch_clamped(ref, x - kBefore, y - kBefore, b.width + kMargin, b.height + kMargin, patch,
                kPatchStride);
  interpolate_block<kTaps, Mid>(patch + kBefore * kPatchStride + kBefore, kPatchStride, dst,
                                out.stride, b.width, b.height, b.fx, b.fy, max);
}

template <int kTaps>
void compensate_block(const ConstPlaneView& ref, const Block& b, int bit_depth,
                      const PlaneView& out) {
  const int max = (1 << bit_depth) - 1;
  if (bit_depth == 8) {
    compensate_block<kTaps, int16_t>(ref, b, max, out);
  } else {
    compensate_block<kTaps, int32_t>(ref, b, max, out);
  }
}

// Predicts the luma rectangle of `size` samples a side at (x, y) in every plane.
void compensate_square(const Frame& ref, int x, int y, int size, Mv v, Frame& out) {
  const int luma_width = ref.planes[0].width();
  const int width = std::min(size, luma_width - x);
  const int height = std::min(size, ref.planes[0].height() - y);
  for (int p = 0; p < ref.plane_count; ++p) {
    const ConstPlaneView from = ref.planes[p].view();
    const PlaneView to = out.planes[p].view();
    if (from.width == luma_width) {
      const Block b{
          x, y, width, height, v.x >> 2, v.y >> 2, kLumaFilter[v.x & 3], kLumaFilter[v.y & 3]};
      compensate_block<kLumaTaps>(from, b, ref.bit_depth, to);
    } else {
      const Block b{x / 2,
                    y / 2,
                    width / 2,
                    height / 2,
                    v.x >> 3,
                    v.y >> 3,
                    kChromaFilter[v.x & 7],
                    kChromaFilter[v.y & 7]};
      compensate_block<kChromaTaps>(from, b, ref.bit_depth, to);
    }
  }
}

}  // namespace

void motion_compensate_superblock(const Frame& ref, const MotionField& field, int sx, int sy,
                                  Frame& out) {
  field.for_squares(sx, sy, [&](const MotionSquare& s) {
    compensate_square(ref, s.x * kSubblockSize, s.y * kSubblockSize, s.size * kSubblockSize,
                      field.mv_at(s.x, s.y), out);
  });
}

void motion_compensate_rows(const Frame& ref, const MotionField& field, int row_begin, int row_end,
                            Frame& out) {
  for (int sy = row_begin; sy < row_end; ++sy) {
    for (int sx = 0; sx < field.superblocks_x; ++sx) {
      motion_compensate_superblock(ref, field, sx, sy, out);
    }
  }
}

}  // namespace bsq
