// Motion compensation: the prediction of a frame from a decoded one. Normative.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/plane.h"
#include "base/thread_pool.h"
#include "motion/motion_field.h"

namespace bsq {

// The first and the second reference; the latter is read where the field has a B frame's motion.
using ReferenceFrames = std::array<const Frame*, 2>;

// Predicts the samples of one superblock in every plane of `out`, which has the sizes and the bit
// depth of the references, perhaps fewer planes, and does not share their samples; `field` was made
// for its luma size. A plane as large as the luma plane is compensated as luma, one of half the
// size each way as 4:2:0 chroma. Any vector is safe: samples outside the reference are its nearest
// edge samples.
//
// `differences`, per sub-block of the frame, receives the sums of the absolute differences of the
// two predictions of luma, 0 where there is one; empty: they are not wanted.
void motion_compensate_superblock(const ReferenceFrames& refs, const MotionField& field, int sx,
                                  int sy, Frame& out, std::span<uint16_t> differences = {});

// The same for the superblocks of the rows [row_begin, row_end). Distinct rows may run in parallel.
void motion_compensate_rows(const ReferenceFrames& refs, const MotionField& field, int row_begin,
                            int row_end, Frame& out, std::span<uint16_t> differences = {});

// The whole frame, its rows over the pool.
void motion_compensate(const ReferenceFrames& refs, const MotionField& field, ThreadPool& pool,
                       Frame& out);

}  // namespace bsq
