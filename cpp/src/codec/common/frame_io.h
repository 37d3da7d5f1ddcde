// Pictures at the C API into frames of the coded size, and back.
#pragma once

#include <cstdint>
#include <vector>

#include "base/plane.h"
#include "bsq/bsq.h"
#include "codec/common/geometry.h"

namespace bsq {

// Throws Error(BSQ_ERROR_ARGUMENT) if size, format or depth are not the sequence's.
void check_picture(const bsq_picture& picture, const bsq_sequence& sequence);

// Copies a component's samples into `frame` (from Geometry::make_frame) and extends them by the
// edge samples. Throws Error(BSQ_ERROR_ARGUMENT) if planes or samples do not fit.
void import_picture(const bsq_picture& picture, const Geometry& geometry, Frame& frame);

// A component's samples as they are handed out: cropped, one byte for 8 bits, two above.
struct PictureBuffer {
  std::vector<uint8_t> samples[3];

  // Fills `samples`, and the planes and strides of `picture` that are the component's.
  void export_frame(const Frame& frame, const Geometry& geometry, bsq_picture& picture);
};

}  // namespace bsq
