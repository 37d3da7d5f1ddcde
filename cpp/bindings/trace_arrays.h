// Layers as an encoder coded them, as Python's training reads them.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <vector>

#include "codec/encoder/mode/layer_trace.h"

namespace bsq {

template <class T>
pybind11::array_t<T> grid_array(const std::vector<T>& values, int height, int width) {
  return pybind11::array_t<T>(std::vector<pybind11::ssize_t>{height, width}, values.data());
}

inline pybind11::list plane_list(const Frame& frame) {
  pybind11::list planes;
  for (int p = 0; p < frame.plane_count; ++p) {
    const ConstPlaneView plane = frame.planes[p].view();
    pybind11::array_t<uint16_t> array(std::vector<pybind11::ssize_t>{plane.height, plane.width});
    for (int y = 0; y < plane.height; ++y) {
      std::copy_n(plane.row(y), plane.width, array.mutable_data(y, 0));
    }
    planes.append(array);
  }
  return planes;
}

// Bits [height, width, S] of 32 each; those of stages that are not coded are 0.
inline pybind11::array_t<uint32_t> bits_array(const TokenField& field) {
  pybind11::array_t<uint32_t> array(
      std::vector<pybind11::ssize_t>{field.height, field.width, field.max_stages});
  uint32_t* to = array.mutable_data();
  for (size_t i = 0; i < field.stages.size(); ++i, to += field.max_stages) {
    std::fill_n(to, field.max_stages, 0U);
    std::copy_n(field.words(i), field.stages[i], to);
  }
  return array;
}

inline pybind11::dict layer_dict(const LayerTrace& layer) {
  const TokenField& tokens = layer.tokens;
  pybind11::dict d;
  d["source"] = plane_list(layer.source);
  d["prediction"] = plane_list(layer.prediction);
  d["bits"] = bits_array(tokens);
  d["stages"] = grid_array(tokens.stages, tokens.height, tokens.width);
  d["previous_bits"] = bits_array(layer.previous);
  d["previous_stages"] = grid_array(layer.previous.stages, tokens.height, tokens.width);
  d["q"] = grid_array(layer.q, tokens.height, tokens.width);
  pybind11::array_t<int16_t> side(std::vector<pybind11::ssize_t>{
      tokens.height, tokens.width, static_cast<pybind11::ssize_t>(kPredictionSide)});
  std::copy_n(layer.prediction_side.data(), side.size(), side.mutable_data());
  d["prediction_side"] = side;
  d["keyframe"] = layer.keyframe;
  d["first_of_keyframe"] = layer.place.first_of_keyframe;
  d["later"] = layer.place.later;
  d["above"] = layer.place.above;
  return d;
}

}  // namespace bsq
