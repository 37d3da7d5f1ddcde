// Motion compensation: the prediction of a frame from a decoded one. Normative.
#pragma once

#include "base/plane.h"
#include "motion/motion_field.h"

namespace bsq {

// Predicts the samples of one superblock in every plane. `out` has the sizes, plane count and bit
// depth of `ref` and does not share its samples; `field` was made for its luma size. A plane as
// large as the luma plane is compensated as luma, one of half the size each way as 4:2:0 chroma.
// Any vector is safe: samples outside the reference are its nearest edge samples.
void motion_compensate_superblock(const Frame& ref, const MotionField& field, int sx, int sy,
                                  Frame& out);

// The same for the superblocks of the rows [row_begin, row_end). Distinct rows may run in parallel.
void motion_compensate_rows(const Frame& ref, const MotionField& field, int row_begin, int row_end,
                            Frame& out);

inline void motion_compensate(const Frame& ref, const MotionField& field, Frame& out) {
  motion_compensate_rows(ref, field, 0, field.superblocks_y, out);
}

}  // namespace bsq
