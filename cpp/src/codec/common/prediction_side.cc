#include "codec/common/prediction_side.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>

#include "network/samples.h"

namespace bsq {

namespace {

int distance(Mv a, Mv b) { return std::abs(a.x - b.x) + std::abs(a.y - b.y); }

// The sum of the distances of the sub-block's vector from those around it.
int motion_change(const MotionField& field, int cx, int cy) {
  const Mv own = field.mv_at(cx, cy);
  int sum = 0;
  if (cx > 0) sum += distance(own, field.mv_at(cx - 1, cy));
  if (cx + 1 < field.subblocks_x) sum += distance(own, field.mv_at(cx + 1, cy));
  if (cy > 0) sum += distance(own, field.mv_at(cx, cy - 1));
  if (cy + 1 < field.subblocks_y) sum += distance(own, field.mv_at(cx, cy + 1));
  return sum;
}

}  // namespace

void prediction_side_row(const MotionField& field, std::span<const uint16_t> differences,
                         int bit_depth, int superblock_row, std::span<int16_t> out) {
  const int begin = superblock_row * kSuperblockSubblocks;
  const int end = std::min(begin + kSuperblockSubblocks, field.subblocks_y);
  for (int cy = begin; cy < end; ++cy) {
    for (int cx = 0; cx < field.subblocks_x; ++cx) {
      const size_t at = field.subblock_index(cx, cy);
      int16_t* values = out.data() + at * kPredictionSide;
      values[0] = static_cast<int16_t>(side_log2(differences[at] >> (bit_depth - 8)));
      values[1] = static_cast<int16_t>(side_log2(motion_change(field, cx, cy)));
    }
  }
}

}  // namespace bsq
