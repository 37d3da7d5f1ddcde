// Frames at the C API into frames of the coded size, and back.
#pragma once

#include <cstdint>
#include <vector>

#include "base/plane.h"
#include "bsq/bsq.h"
#include "codec/common/geometry.h"

namespace bsq {

// Throws Error(BSQ_ERROR_ARGUMENT) if size, format or depth are not the sequence's.
void check_frame(const bsq_frame& frame, const bsq_sequence& sequence);

// Copies a component's samples into `coded` (from Geometry::make_frame) and extends them by the
// edge samples. Throws Error(BSQ_ERROR_ARGUMENT) if planes or samples do not fit.
void import_frame(const bsq_frame& frame, const Geometry& geometry, Frame& coded);

// A component's samples as they are handed out: cropped, one byte for 8 bits, two above.
struct FrameBuffer {
  std::vector<uint8_t> samples[3];

  // Fills `samples`, and the planes and strides of `frame` that are the component's.
  void export_frame(const Frame& coded, const Geometry& geometry, bsq_frame& frame);
};

}  // namespace bsq
