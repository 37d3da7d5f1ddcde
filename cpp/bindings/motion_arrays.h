// Planes and motion fields as NumPy arrays, for the motion bindings.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "arrays.h"
#include "base/plane.h"
#include "base/status.h"
#include "bitstream/limits.h"
#include "motion/motion_field.h"

namespace bsq {

using Shape = std::vector<pybind11::ssize_t>;

[[noreturn]] inline void fail(const std::string& message) {
  throw Error(BSQ_ERROR_ARGUMENT, message);
}

// A C-contiguous array of 8- or 16-bit samples whose last two axes are one plane.
struct Samples {
  pybind11::array array;
  const void* data = nullptr;
  bool wide = false;
  int height = 0;
  int width = 0;
  size_t plane_size = 0;

  Samples(const pybind11::object& value, int axes, const char* name)
      : array(require_any_array(value, name)) {
    wide = same_dtype(array.dtype(), pybind11::dtype::of<uint16_t>());
    if (!wide && !same_dtype(array.dtype(), pybind11::dtype::of<uint8_t>())) {
      fail(std::string(name) + " must be an array of uint8 or uint16, not " +
           pybind11::str(array.dtype()).cast<std::string>());
    }
    if (array.ndim() != axes) {
      fail(std::string(name) + " must have " + std::to_string(axes) + " dimensions; its shape is " +
           shape_text(array));
    }
    const pybind11::ssize_t h = array.shape(axes - 2);
    const pybind11::ssize_t w = array.shape(axes - 1);
    if (h < 1 || w < 1 || h > kMaxFrameSide || w > kMaxFrameSide) {
      fail(std::string(name) + ": sides must be 1 to 8192 samples; the shape is " +
           shape_text(array));
    }
    array = dense_array(array, name);
    data = array.data();
    height = static_cast<int>(h);
    width = static_cast<int>(w);
    plane_size = static_cast<size_t>(h) * static_cast<size_t>(w);
  }

  // Copies one plane in; false if a sample exceeds `max`. Needs no GIL.
  bool load(size_t index, int max, Plane& plane) const {
    plane = Plane(width, height);
    uint16_t* dst = plane.view().data;
    const size_t start = index * plane_size;
    const auto copy = [&](const auto* src) {
      unsigned all = 0;
      for (size_t i = 0; i < plane_size; ++i) {
        dst[i] = src[start + i];
        all |= dst[i];
      }
      return all <= static_cast<unsigned>(max);  // max is a power of two less one
    };
    return wide ? copy(static_cast<const uint16_t*>(data))
                : copy(static_cast<const uint8_t*>(data));
  }

  void store(const Plane& plane, void* out, size_t index) const {
    const uint16_t* src = plane.view().data;
    if (wide) {
      std::copy_n(src, plane_size, static_cast<uint16_t*>(out) + index * plane_size);
    } else {
      uint8_t* dst = static_cast<uint8_t*>(out) + index * plane_size;
      for (size_t i = 0; i < plane_size; ++i) dst[i] = static_cast<uint8_t>(src[i]);
    }
  }

  pybind11::array empty_like() const { return pybind11::array(array.dtype(), shape_of(array)); }
};

inline void check_depth(int bit_depth) {
  if (bit_depth != 8 && bit_depth != 10) fail("bit_depth must be 8 or 10");
}

inline void check_luma(const Samples& luma, const char* name) {
  if (luma.width % 8 != 0 || luma.height % 8 != 0) {
    fail(std::string(name) + ": sides must be multiples of 8, got " + std::to_string(luma.height) +
         " x " + std::to_string(luma.width) + "; pad the frame");
  }
}

inline void load_or_fail(const Samples& samples, size_t index, int bit_depth, const char* name,
                         Plane& plane) {
  if (!samples.load(index, (1 << bit_depth) - 1, plane)) {
    fail(std::string(name) + ": a sample exceeds " + std::to_string(bit_depth) + " bits");
  }
}

// Motion fields as arrays: split [.., superblocks_y, superblocks_x] holds MotionField::split, and
// mv one vector per 16x16 block [.., blocks_y, blocks_x, 2], or per 8x8 sub-block [..,
// subblocks_y, subblocks_x, 2] where blocks are split too.
struct FieldArrays {
  Array<uint8_t> split;
  Array<int16_t> mv;
  bool fine = false;  // vectors per sub-block
  const uint8_t* split_data = nullptr;
  const int16_t* mv_data = nullptr;

  FieldArrays(const pybind11::object& split_in, const pybind11::object& mv_in,
              const MotionField& shape, std::optional<size_t> batch)
      : split(require_array<uint8_t>(split_in, "split")),
        mv(require_array<int16_t>(mv_in, "mv")),
        split_data(split.data()),
        mv_data(mv.data()) {
    check(split, field_shape(batch, shape.superblocks_y, shape.superblocks_x), "split");
    fine = shape_of(mv) == vector_shape(shape, true, batch);
    if (!fine) check(mv, vector_shape(shape, false, batch), "mv");
  }

  static Shape field_shape(std::optional<size_t> batch, int rows, int columns) {
    if (batch) return {static_cast<pybind11::ssize_t>(*batch), rows, columns};
    return {rows, columns};
  }
  static Shape vector_shape(const MotionField& shape, bool fine, std::optional<size_t> batch) {
    Shape s = fine ? field_shape(batch, shape.subblocks_y, shape.subblocks_x)
                   : field_shape(batch, shape.blocks_y, shape.blocks_x);
    s.push_back(2);
    return s;
  }

  // Needs no GIL.
  MotionField field(MotionField out, size_t index) const {
    std::copy_n(split_data + index * out.split.size(), out.split.size(), out.split.begin());
    const int columns = fine ? out.subblocks_x : out.blocks_x;
    const int rows = fine ? out.subblocks_y : out.blocks_y;
    const int scale = fine ? 1 : kBlockSubblocks;
    const int16_t* v =
        mv_data + index * static_cast<size_t>(rows) * static_cast<size_t>(columns) * 2;
    for (int y = 0; y < rows; ++y) {
      for (int x = 0; x < columns; ++x, v += 2) {
        if (std::min(v[0], v[1]) < kMvMin || std::max(v[0], v[1]) > kMvMax) {
          fail("mv: components must be -2048 to 2047 quarter samples");
        }
        out.set({scale * x, scale * y, scale}, {v[0], v[1]});
      }
    }
    check_superblocks(out);
    return out;
  }

 private:
  static void check(const pybind11::array& array, const Shape& shape, const char* name) {
    if (shape_of(array) == shape) return;
    std::string wanted;
    for (const pybind11::ssize_t side : shape) {
      if (!wanted.empty()) wanted += 'x';
      wanted += std::to_string(side);
    }
    fail(std::string(name) + " must have the shape " + wanted + " for frames of this size, not " +
         shape_text(array));
  }

  void check_superblocks(const MotionField& f) const {
    for (int sy = 0; sy < f.superblocks_y; ++sy) {
      for (int sx = 0; sx < f.superblocks_x; ++sx) {
        const int how = f.split_at(sx, sy);
        if (!fine && how > 1) fail("split: values must be 0 or 1");
        if (how > 31 || (how & 1) == (how == 0 ? 1 : 0)) {
          fail("split: values must be 0, or odd and at most 31");
        }
        f.for_squares(sx, sy, [&](const MotionSquare& s) {
          f.for_subblocks(s, [&](int cx, int cy) {
            if (f.mv_at(cx, cy) == f.mv_at(s.x, s.y)) return;
            fail(s.size == kSuperblockSubblocks
                     ? "mv: the blocks of a superblock with split 0 must have one vector"
                     : "mv: the sub-blocks of a block that is not split must have one vector");
          });
        });
      }
    }
  }
};

// `fine`: vectors per sub-block, else per block.
inline void write_field(const MotionField& field, bool fine, uint8_t* split, int16_t* mv) {
  std::copy(field.split.begin(), field.split.end(), split);
  const int scale = fine ? 1 : kBlockSubblocks;
  for (int cy = 0; cy < field.subblocks_y; cy += scale) {
    for (int cx = 0; cx < field.subblocks_x; cx += scale) {
      const Mv v = field.mv_at(cx, cy);
      *mv++ = v.x;
      *mv++ = v.y;
    }
  }
}

}  // namespace bsq
