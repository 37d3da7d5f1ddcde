// Motion compensation of squares from one reference or two (docs/bitstream.md section 4).
#include "motion/compensate.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "motion/compensate_block.h"
#include "motion/overlap.h"

namespace bsq {

namespace {

LumaRect rect_of(const MotionSquare& s, const ConstPlaneView& luma) {
  const int x = s.x * kSubblockSize;
  const int y = s.y * kSubblockSize;
  const int size = s.size * kSubblockSize;
  return {x, y, std::min(size, luma.width - x), std::min(size, luma.height - y)};
}

int difference_of(const uint16_t* a, ptrdiff_t a_stride, const uint16_t* b, ptrdiff_t b_stride) {
  int sum = 0;
  for (int y = 0; y < kSubblockSize; ++y, a += a_stride, b += b_stride) {
    for (int x = 0; x < kSubblockSize; ++x) sum += std::abs(a[x] - b[x]);
  }
  return sum;
}

// Those of the sub-blocks of a square with both references, from its predictions of luma.
void note_differences(const MotionField& field, const MotionSquare& square, const Destination& a,
                      const uint16_t* b, std::span<uint16_t> differences) {
  field.for_subblocks(square, [&](int cx, int cy) {
    const ptrdiff_t x = ptrdiff_t{cx - square.x} * kSubblockSize;
    const ptrdiff_t y = ptrdiff_t{cy - square.y} * kSubblockSize;
    differences[field.subblock_index(cx, cy)] = static_cast<uint16_t>(difference_of(
        a.samples + y * a.stride + x, a.stride, b + y * kSuperblockSize + x, kSuperblockSize));
  });
}

void compensate_square(const ReferenceFrames& refs, const MotionField& field,
                       const MotionSquare& square, Frame& out, std::span<uint16_t> differences) {
  const size_t at = field.subblock_index(square.x, square.y);
  const int direction = field.is_b() ? field.direction[at] : kFirstReference;
  if (direction != kBothReferences && !differences.empty()) {
    field.for_subblocks(square,
                        [&](int cx, int cy) { differences[field.subblock_index(cx, cy)] = 0; });
  }
  const LumaRect rect = rect_of(square, out.planes[0].view());
  for (int p = 0; p < out.plane_count; ++p) {
    const PlaneView plane = out.planes[p].view();
    const PlaneKind kind{plane.width != out.planes[0].width(), out.bit_depth};
    const int shift = kind.shift();
    const Destination to{plane.row(rect.y >> shift) + (rect.x >> shift), plane.stride};
    const auto predict = [&](size_t reference, const Destination& destination) {
      compensate_block(refs[reference]->planes[p].view(), kind, rect, field.vectors(reference)[at],
                       destination);
    };
    if (direction == kBothReferences) {
      std::array<uint16_t, size_t{kSuperblockSize} * kSuperblockSize> second;
      predict(0, to);
      predict(1, {second.data(), kSuperblockSize});
      if (p == 0 && !differences.empty()) {
        note_differences(field, square, to, second.data(), differences);
      }
      average(to, second.data(), kSuperblockSize, rect.width >> shift, rect.height >> shift);
    } else {
      predict(direction == kFirstReference ? 0 : 1, to);
    }
  }
}

}  // namespace

void motion_compensate_superblock(const ReferenceFrames& refs, const MotionField& field, int sx,
                                  int sy, Frame& out, std::span<uint16_t> differences) {
  field.for_squares(sx, sy, [&](const MotionSquare& s) {
    compensate_square(refs, field, s, out, differences);
    overlap_square(refs, field, s, out);
  });
}

void motion_compensate_rows(const ReferenceFrames& refs, const MotionField& field, int row_begin,
                            int row_end, Frame& out, std::span<uint16_t> differences) {
  for (int sy = row_begin; sy < row_end; ++sy) {
    for (int sx = 0; sx < field.superblocks_x; ++sx) {
      motion_compensate_superblock(refs, field, sx, sy, out, differences);
    }
  }
}

void motion_compensate(const ReferenceFrames& refs, const MotionField& field, ThreadPool& pool,
                       Frame& out) {
  pool.parallel_rows(static_cast<size_t>(field.superblocks_y), [&](size_t row) {
    const int y = static_cast<int>(row);
    motion_compensate_rows(refs, field, y, y + 1, out);
  });
}

}  // namespace bsq
