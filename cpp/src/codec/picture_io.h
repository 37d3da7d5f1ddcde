// Pictures at the C API into frames of the coded size, and back.
#pragma once

#include <cstdint>
#include <vector>

#include "base/plane.h"
#include "bsq/bsq.h"
#include "codec/geometry.h"

namespace bsq {

// Copies the samples into `frame` (from Geometry::make_frame) and extends them by the edge samples.
// Throws Error(BSQ_ERROR_ARGUMENT) if format, planes or samples do not fit the sequence.
void import_picture(const bsq_picture& picture, const Geometry& geometry, Frame& frame);

// A picture's samples as they are handed out: cropped, one byte for 8 bits, two above.
struct PictureBuffer {
  std::vector<uint8_t> samples[3];

  // Fills `samples` and the format, planes and strides of `picture`.
  void export_frame(const Frame& frame, const Geometry& geometry, bsq_picture& picture);
};

}  // namespace bsq
