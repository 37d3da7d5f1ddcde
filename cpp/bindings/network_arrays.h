// Arrays over all tokens of a frame to and from the lists of active tokens that networks take.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <string>
#include <vector>

#include "arrays.h"
#include "base/status.h"
#include "network/token_field.h"

namespace bsq {

[[noreturn]] inline void fail_argument(const std::string& message) {
  throw Error(BSQ_ERROR_ARGUMENT, message);
}

// The active tokens of a frame of height x width tokens; `superblocks` is uint8 [superblocks_y,
// superblocks_x], or None for all.
inline ActiveTokens make_active(pybind11::ssize_t height, pybind11::ssize_t width,
                                const pybind11::object& superblocks) {
  constexpr pybind11::ssize_t kMax = 1024;
  ActiveTokens active(static_cast<int>(std::min(height, kMax + 1)),
                      static_cast<int>(std::min(width, kMax + 1)));
  if (superblocks.is_none()) {
    active.set_all();
    return active;
  }
  const auto flags = require_array<uint8_t>(superblocks, "active", 2, 2);
  if (flags.shape(0) != active.superblocks_y() || flags.shape(1) != active.superblocks_x()) {
    fail_argument("active must have one value per superblock, " +
                  std::to_string(active.superblocks_y()) + "x" +
                  std::to_string(active.superblocks_x()) + "; its shape is " + shape_text(flags));
  }
  active.set(span_of(flags));
  return active;
}

// Throws if the lowest value of the type is there: no normative value is that low, and sums would
// leave their limits.
template <class T>
void require_symmetric(const Array<T>& array, const char* name) {
  const std::span<const T> values = span_of(array);
  if (std::find(values.begin(), values.end(), std::numeric_limits<T>::min()) != values.end()) {
    fail_argument(std::string(name) + " holds " +
                  std::to_string(int{std::numeric_limits<T>::min()}) + ", which is not allowed");
  }
}

// An array [height, width, channels] of T.
template <class T>
Array<T> require_tokens(const pybind11::object& value, const char* name, int channels) {
  const auto array = require_array<T>(value, name, 3, 3);
  if (array.shape(2) != channels) {
    fail_argument(std::string(name) + " must have " + std::to_string(channels) +
                  " values per token; its shape is " + shape_text(array));
  }
  require_symmetric(array, name);
  return array;
}

inline void require_same_frame(const pybind11::array& a, const pybind11::array& b) {
  if (a.shape(0) != b.shape(0) || a.shape(1) != b.shape(1)) {
    fail_argument("the arrays must be of one frame; their shapes are " + shape_text(a) + " and " +
                  shape_text(b));
  }
}

template <class T>
std::vector<T> gather(const Array<T>& array, const ActiveTokens& active) {
  const auto channels = static_cast<size_t>(array.shape(2));
  const auto width = static_cast<size_t>(active.width());
  std::vector<T> rows;
  rows.reserve(static_cast<size_t>(active.count()) * channels);
  for (const TokenPosition token : active.tokens()) {
    const T* from =
        array.data() +
        (static_cast<size_t>(token.y) * width + static_cast<size_t>(token.x)) * channels;
    rows.insert(rows.end(), from, from + channels);
  }
  return rows;
}

// Rows of active tokens to an array [height, width, channels], 0 at the others.
template <class T>
Array<T> scatter(const std::vector<T>& rows, const ActiveTokens& active, int channels) {
  auto array = make_array<T>({active.height(), active.width(), pybind11::ssize_t{channels}});
  std::fill_n(array.mutable_data(), array.size(), T{0});
  const auto width = static_cast<size_t>(active.width());
  const auto count = static_cast<size_t>(channels);
  const T* from = rows.data();
  for (const TokenPosition token : active.tokens()) {
    const size_t at = static_cast<size_t>(token.y) * width + static_cast<size_t>(token.x);
    std::copy_n(from, count, array.mutable_data() + at * count);
    from += count;
  }
  return array;
}

}  // namespace bsq
