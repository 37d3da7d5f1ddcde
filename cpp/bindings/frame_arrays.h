// Decoded frames as Python holds them.
#pragma once

#include <pybind11/numpy.h>

#include <cstring>
#include <vector>

#include "bsq/bsq.h"
#include "codec/common/geometry.h"

namespace bsq {

struct PyFrame {
  bsq_frame info;
  std::vector<pybind11::array> planes;
};

// The samples of a frame, copied while the library keeps them; needs no GIL.
struct FrameSamples {
  std::vector<uint8_t> planes[BSQ_MAX_PLANES];

  void copy(const bsq_frame& info) {
    for (size_t p = 0; p < BSQ_MAX_PLANES && info.planes[p] != nullptr; ++p) {
      const auto* from = static_cast<const uint8_t*>(info.planes[p]);
      const PlaneSize size = plane_size(info, static_cast<int>(p));
      planes[p].assign(from, from + info.strides[p] * size.height);
    }
  }

  PyFrame frame(const bsq_frame& info) const {
    PyFrame frame{info, {}};
    for (size_t p = 0; p < BSQ_MAX_PLANES && info.planes[p] != nullptr; ++p) {
      frame.planes.push_back(array(info, p));
    }
    return frame;
  }

 private:
  pybind11::array array(const bsq_frame& info, size_t p) const {
    const pybind11::dtype type =
        info.bit_depth > 8 ? pybind11::dtype::of<uint16_t>() : pybind11::dtype::of<uint8_t>();
    const PlaneSize size = plane_size(info, static_cast<int>(p));
    const pybind11::ssize_t width = size.width;
    const pybind11::ssize_t height = size.height;
    pybind11::array array(type, std::vector<pybind11::ssize_t>{height, width});
    auto* to = static_cast<uint8_t*>(array.mutable_data());
    const pybind11::ssize_t row = width * type.itemsize();
    for (pybind11::ssize_t y = 0; y < height; ++y) {
      std::memcpy(to + y * row, planes[p].data() + y * info.strides[p], static_cast<size_t>(row));
    }
    return array;
  }
};

}  // namespace bsq
