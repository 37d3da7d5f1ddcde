// Decoders and their frames as Python sees them.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstring>
#include <vector>

#include "bsq/bsq.h"
#include "codec/common/geometry.h"
#include "sequence_dict.h"

namespace bsq {

struct PyFrame {
  bsq_frame info;
  std::vector<pybind11::array> planes;
};

// The class of decoded frames in Python, wherever their planes are.
template <class Frame>
void bind_frame(pybind11::module_& m, const char* name) {
  const auto field = [](auto member) {
    return [member](const Frame& f) { return f.info.*member; };
  };
  pybind11::class_<Frame>(m, name)
      .def_readonly("planes", &Frame::planes)
      .def_property_readonly("width", field(&bsq_frame::width))
      .def_property_readonly("height", field(&bsq_frame::height))
      .def_property_readonly("chroma", [](const Frame& f) { return chroma_name(f.info.chroma); })
      .def_property_readonly("bit_depth", field(&bsq_frame::bit_depth))
      .def_property_readonly("pts", field(&bsq_frame::pts))
      .def_property_readonly("duration", field(&bsq_frame::duration))
      .def_property_readonly("keyframe", [](const Frame& f) { return f.info.keyframe != 0; })
      .def_property_readonly("b_frame", [](const Frame& f) { return f.info.b_frame != 0; })
      .def_property_readonly("concealed", [](const Frame& f) { return f.info.concealed != 0; });
}

// The calls that all decoders have in Python.
template <class Decoder>
void bind_decoding(pybind11::class_<Decoder>& decoder) {
  decoder
      .def("send", &Decoder::send, pybind11::arg("data"), pybind11::arg("pts") = 0,
           pybind11::kw_only(), pybind11::arg("duration") = 0)
      .def("flush", &Decoder::flush)
      .def("receive", &Decoder::receive)
      .def("reset", &Decoder::reset)
      .def_property_readonly("sequence", &Decoder::sequence);
}

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
