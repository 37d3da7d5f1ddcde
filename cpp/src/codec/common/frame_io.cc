// Copies samples across the C API with checks, edge extension and cropping.
#include "codec/common/frame_io.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "base/status.h"

namespace bsq {
namespace {

[[noreturn]] void fail(const std::string& message) { throw Error(BSQ_ERROR_ARGUMENT, message); }

void check_planes(const bsq_frame& frame, const Geometry& g) {
  for (int p = 0; p < g.plane_count; ++p) {
    const int at = g.first_plane + p;
    if (frame.planes[at] == nullptr) fail("plane " + std::to_string(at) + " is NULL");
    const ptrdiff_t row = static_cast<ptrdiff_t>(g.plane_width(p)) * (g.bit_depth > 8 ? 2 : 1);
    const ptrdiff_t stride = frame.strides[at];
    if (g.plane_height(p) > 1 && stride < row && stride > -row) {
      fail("the stride of plane " + std::to_string(at) + " is " + std::to_string(stride) +
           " bytes, less than a row of " + std::to_string(row));
    }
  }
}

// Returns the bitwise or of the samples, from which the caller sees whether one is too large.
int copy_row(const uint8_t* from, int width, bool wide, uint16_t* to) {
  int all = 0;
  if (wide) {
    std::memcpy(to, from, static_cast<size_t>(width) * 2);  // rows need not be aligned
    for (int x = 0; x < width; ++x) all |= to[x];
  } else {
    for (int x = 0; x < width; ++x) to[x] = from[x];
  }
  return all;
}

}  // namespace

void check_frame(const bsq_frame& frame, const bsq_sequence& s) {
  if (frame.width != s.width || frame.height != s.height) {
    fail("the frame is " + std::to_string(frame.width) + "x" + std::to_string(frame.height) +
         ", the sequence " + std::to_string(s.width) + "x" + std::to_string(s.height));
  }
  if (frame.chroma != s.chroma) fail("the frame's chroma format is not the sequence's");
  if (frame.bit_depth != s.bit_depth) fail("the frame's bit depth is not the sequence's");
}

void import_frame(const bsq_frame& frame, const Geometry& g, Frame& coded) {
  check_planes(frame, g);
  for (int p = 0; p < g.plane_count; ++p) {
    const PlaneView to = coded.planes[p].view();
    const auto at = static_cast<size_t>(g.first_plane + p);
    const auto* from = static_cast<const uint8_t*>(frame.planes[at]);
    const int width = g.plane_width(p);
    const int height = g.plane_height(p);
    int all = 0;
    for (int y = 0; y < height; ++y) {
      uint16_t* row = to.row(y);
      all |= copy_row(from + y * frame.strides[at], width, g.bit_depth > 8, row);
      std::fill(row + width, row + to.width, row[width - 1]);
    }
    if ((all >> g.bit_depth) != 0) {
      fail("plane " + std::to_string(at) + " holds samples above " +
           std::to_string((1 << g.bit_depth) - 1));
    }
    for (int y = height; y < to.height; ++y) {
      std::copy_n(to.row(height - 1), to.width, to.row(y));
    }
  }
}

void FrameBuffer::export_frame(const Frame& coded, const Geometry& g, bsq_frame& frame) {
  const bool wide = g.bit_depth > 8;
  for (int p = 0; p < g.plane_count; ++p) {
    const size_t width = static_cast<size_t>(g.plane_width(p));
    const size_t stride = width * (wide ? 2 : 1);
    samples[p].resize(stride * static_cast<size_t>(g.plane_height(p)));
    const ConstPlaneView from = coded.planes[p].view();
    uint8_t* to = samples[p].data();
    for (int y = 0; y < g.plane_height(p); ++y, to += stride) {
      const uint16_t* row = from.row(y);
      if (wide) {
        std::memcpy(to, row, stride);
      } else {
        for (size_t x = 0; x < width; ++x) to[x] = static_cast<uint8_t>(row[x]);
      }
    }
    frame.planes[g.first_plane + p] = samples[p].data();
    frame.strides[g.first_plane + p] = static_cast<ptrdiff_t>(stride);
  }
}

}  // namespace bsq
