// Motion compensation by the HEVC interpolation filters (docs/bitstream.md, motion).
#include "motion/compensate.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

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

// Where the samples of a block go.
struct Destination {
  uint16_t* samples;
  ptrdiff_t stride;
};

template <int kTaps, typename Mid>
void compensate_block(const ConstPlaneView& ref, const Block& b, int max, const Destination& out) {
  constexpr int kBefore = kTaps / 2 - 1;
  constexpr int kMargin = kTaps - 1;
  constexpr ptrdiff_t kPatchStride = kSuperblockSize + kMargin;
  const int x = b.x + b.dx;
  const int y = b.y + b.dy;
  const bool inside = x >= kBefore && y >= kBefore &&
                      x + b.width + kMargin - kBefore <= ref.width &&
                      y + b.height + kMargin - kBefore <= ref.height;
  if (inside) {
    interpolate_block<kTaps, Mid>(ref.row(y) + x, ref.stride, out.samples, out.stride, b.width,
                                  b.height, b.fx, b.fy, max);
    return;
  }
  uint16_t patch[kPatchStride * kPatchStride];
  fetch_clamped(ref, x - kBefore, y - kBefore, b.width + kMargin, b.height + kMargin, patch,
                kPatchStride);
  interpolate_block<kTaps, Mid>(patch + kBefore * kPatchStride + kBefore, kPatchStride, out.samples,
                                out.stride, b.width, b.height, b.fx, b.fy, max);
}

template <int kTaps>
void compensate_block(const ConstPlaneView& ref, const Block& b, int bit_depth,
                      const Destination& out) {
  const int max = (1 << bit_depth) - 1;
  if (bit_depth == 8) {
    compensate_block<kTaps, int16_t>(ref, b, max, out);
  } else {
    compensate_block<kTaps, int32_t>(ref, b, max, out);
  }
}

// A square of luma samples that ends at the frame's border, in every plane.
struct Square {
  int x, y, width, height;  // of luma

  Square(const MotionSquare& s, const ConstPlaneView& luma)
      : x(s.x * kSubblockSize),
        y(s.y * kSubblockSize),
        width(std::min(s.size * kSubblockSize, luma.width - x)),
        height(std::min(s.size * kSubblockSize, luma.height - y)) {}
};

// One plane of the square. `chroma`: of half the size each way.
void compensate_plane(const ConstPlaneView& ref, const Square& s, bool chroma, Mv v, int bit_depth,
                      const Destination& out) {
  if (chroma) {
    const Block b{s.x / 2,
                  s.y / 2,
                  s.width / 2,
                  s.height / 2,
                  v.x >> 3,
                  v.y >> 3,
                  kChromaFilter[v.x & 7],
                  kChromaFilter[v.y & 7]};
    compensate_block<kChromaTaps>(ref, b, bit_depth, out);
  } else {
    const Block b{s.x,
                  s.y,
                  s.width,
                  s.height,
                  v.x >> 2,
                  v.y >> 2,
                  kLumaFilter[v.x & 3],
                  kLumaFilter[v.y & 3]};
    compensate_block<kLumaTaps>(ref, b, bit_depth, out);
  }
}

void average(const Destination& out, const uint16_t* other, ptrdiff_t stride, int width,
             int height) {
  for (int y = 0; y < height; ++y) {
    uint16_t* row = out.samples + y * out.stride;
    const uint16_t* from = other + y * stride;
    for (int x = 0; x < width; ++x) row[x] = static_cast<uint16_t>((row[x] + from[x] + 1) >> 1);
  }
}

void compensate_square(const ReferenceFrames& refs, const MotionField& field,
                       const MotionSquare& square, Frame& out) {
  const size_t at = field.subblock_index(square.x, square.y);
  const int direction = field.is_b() ? field.direction[at] : kFirstReference;
  const Square s(square, out.planes[0].view());
  for (int p = 0; p < out.plane_count; ++p) {
    const PlaneView plane = out.planes[p].view();
    const bool chroma = plane.width != out.planes[0].width();
    const int shift = chroma ? 1 : 0;
    const Destination to{plane.row(s.y >> shift) + (s.x >> shift), plane.stride};
    const auto predict = [&](size_t reference, const Destination& destination) {
      compensate_plane(refs[reference]->planes[p].view(), s, chroma, field.vectors(reference)[at],
                       out.bit_depth, destination);
    };
    if (direction == kBothReferences) {
      std::array<uint16_t, size_t{kSuperblockSize} * kSuperblockSize> second;
      predict(0, to);
      predict(1, {second.data(), kSuperblockSize});
      average(to, second.data(), kSuperblockSize, s.width >> shift, s.height >> shift);
    } else {
      predict(direction == kFirstReference ? 0 : 1, to);
    }
  }
}

}  // namespace

void motion_compensate_superblock(const ReferenceFrames& refs, const MotionField& field, int sx,
                                  int sy, Frame& out) {
  field.for_squares(sx, sy, [&](const MotionSquare& s) { compensate_square(refs, field, s, out); });
}

void motion_compensate_rows(const ReferenceFrames& refs, const MotionField& field, int row_begin,
                            int row_end, Frame& out) {
  for (int sy = row_begin; sy < row_end; ++sy) {
    for (int sx = 0; sx < field.superblocks_x; ++sx) {
      motion_compensate_superblock(refs, field, sx, sy, out);
    }
  }
}

}  // namespace bsq
