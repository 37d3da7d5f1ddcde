// NumPy arrays and byte strings as arguments of bindings, checked without silent conversion.
//
// Everything here throws Error(BSQ_ERROR_ARGUMENT) with the argument's name, what was expected and
// what came. A function that takes arrays takes pybind11::object and passes it through here:
// pybind11's own casters would convert float64 to float32 or wrap integers without a word.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"

namespace bsq {

template <class T>
using Array = pybind11::array_t<T, pybind11::array::c_style>;

// "2x3x5", "scalar" for no dimensions.
inline std::string shape_text(const pybind11::array& array) {
  std::string text;
  for (pybind11::ssize_t i = 0; i < array.ndim(); ++i) {
    if (i > 0) text += 'x';
    text += std::to_string(array.shape(i));
  }
  return text.empty() ? "scalar" : text;
}

// Same kind, size and byte order. Type numbers will not do: NumPy has two for 64-bit integers.
inline bool same_dtype(const pybind11::dtype& a, const pybind11::dtype& b) {
  constexpr char kForeign = std::endian::native == std::endian::little ? '>' : '<';
  return a.kind() == b.kind() && a.itemsize() == b.itemsize() && a.byteorder() != kForeign;
}

inline pybind11::array require_any_array(const pybind11::object& value, const char* name) {
  if (!pybind11::isinstance<pybind11::array>(value)) {
    throw Error(BSQ_ERROR_ARGUMENT,
                std::string(name) + " must be a NumPy array, not " +
                    pybind11::str(pybind11::type::of(value).attr("__name__")).cast<std::string>());
  }
  return pybind11::reinterpret_borrow<pybind11::array>(value);
}

// The array in C order, copied if it is not; `name` says in the message what it is.
inline pybind11::array dense_array(const pybind11::array& array, const char* name) {
  auto dense = pybind11::array::ensure(array, pybind11::array::c_style);
  // What looks small may be vast: a broadcast array repeats few bytes any number of times.
  if (!dense) {
    throw Error(BSQ_ERROR_MEMORY,
                std::string(name) + " of " + shape_text(array) + " does not fit in memory");
  }
  return dense;
}

// The array with elements of type T and at least `min_dims` and at most `max_dims` dimensions
// (-1: any number), in C order; one that is not is copied.
template <class T>
Array<T> require_array(const pybind11::object& value, const char* name, int min_dims = 0,
                       int max_dims = -1) {
  const pybind11::array array = require_any_array(value, name);
  const pybind11::dtype wanted = pybind11::dtype::of<T>();
  if (!same_dtype(array.dtype(), wanted)) {
    throw Error(BSQ_ERROR_ARGUMENT, std::string(name) + " must be an array of " +
                                        pybind11::str(wanted).template cast<std::string>() +
                                        ", not " +
                                        pybind11::str(array.dtype()).template cast<std::string>());
  }
  if (array.ndim() < min_dims || (max_dims >= 0 && array.ndim() > max_dims)) {
    const std::string wanted_dims =
        min_dims == max_dims ? std::to_string(min_dims) : "at least " + std::to_string(min_dims);
    throw Error(BSQ_ERROR_ARGUMENT, std::string(name) + " must have " + wanted_dims +
                                        " dimensions; its shape is " + shape_text(array));
  }
  return Array<T>::ensure(dense_array(array, name));
}

// A vector of bits: one dimension, uint8 or bool, zeros and ones only.
inline Array<uint8_t> require_bits(const pybind11::object& value, const char* name) {
  pybind11::array array = require_any_array(value, name);
  if (array.dtype().kind() == 'b') array = array.view("uint8");
  Array<uint8_t> bits = require_array<uint8_t>(array, name, 1, 1);
  const uint8_t* data = bits.data();
  for (pybind11::ssize_t i = 0; i < bits.size(); ++i) {
    if (data[i] > 1) {
      throw Error(BSQ_ERROR_ARGUMENT, std::string(name) + "[" + std::to_string(i) + "] is " +
                                          std::to_string(data[i]) + ", bits are 0 and 1");
    }
  }
  return bits;
}

inline void require_same_size(const pybind11::array& a, const char* name_a,
                              const pybind11::array& b, const char* name_b) {
  if (a.size() != b.size()) {
    throw Error(BSQ_ERROR_ARGUMENT, std::string(name_a) + " and " + name_b +
                                        " must have the same length, not " + shape_text(a) +
                                        " and " + shape_text(b));
  }
}

template <class T>
std::span<const T> span_of(const Array<T>& array) {
  return {array.data(), static_cast<size_t>(array.size())};
}

template <class T>
std::span<T> mutable_span_of(Array<T>& array) {
  return {array.mutable_data(), static_cast<size_t>(array.size())};
}

// A new array of the given shape.
template <class T>
Array<T> make_array(std::vector<pybind11::ssize_t> shape) {
  return Array<T>(std::move(shape));
}

// The shape of an array as a vector, to make another one like it.
inline std::vector<pybind11::ssize_t> shape_of(const pybind11::array& array) {
  return {array.shape(), array.shape() + array.ndim()};
}

inline pybind11::bytes to_bytes(std::span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// The bytes of a bytes, bytearray, memoryview or array of contiguous memory, while this lives.
class BytesView {
 public:
  BytesView(const pybind11::object& value, const char* name) {
    if (PyObject_GetBuffer(value.ptr(), &buffer_, PyBUF_SIMPLE) != 0) {
      PyErr_Clear();
      throw Error(
          BSQ_ERROR_ARGUMENT,
          std::string(name) + " must be bytes or another object with contiguous memory, not " +
              pybind11::str(pybind11::type::of(value).attr("__name__")).cast<std::string>());
    }
  }
  ~BytesView() { PyBuffer_Release(&buffer_); }
  BytesView(const BytesView&) = delete;
  BytesView& operator=(const BytesView&) = delete;

  std::span<const uint8_t> span() const {
    return {static_cast<const uint8_t*>(buffer_.buf), static_cast<size_t>(buffer_.len)};
  }

 private:
  Py_buffer buffer_{};
};

}  // namespace bsq
