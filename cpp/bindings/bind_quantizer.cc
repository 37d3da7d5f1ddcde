// Python interface of sign quantization, bit packing, the tile grid and checksums.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>
#include <vector>

#include "arrays.h"
#include "base/crc32.h"
#include "base/sha256.h"
#include "codec/common/tile_grid.h"
#include "quantizer/pack.h"
#include "quantizer/sphere.h"

namespace py = pybind11;

namespace bsq {
namespace {

// Vectors along the last dimension of `array`, whose length L must be 1 .. 64.
int require_code_bits(const py::array& array) {
  const py::ssize_t bits = array.shape(array.ndim() - 1);
  if (bits < 1 || bits > kMaxCodeBits) {
    throw Error(BSQ_ERROR_ARGUMENT,
                "the last dimension of z must be 1 to 64 long; its shape is " + shape_text(array));
  }
  return static_cast<int>(bits);
}

Array<uint64_t> quantize_array(const py::object& z) {
  const Array<float> vectors = require_array<float>(z, "z", 1);
  const int bits = require_code_bits(vectors);
  std::vector<py::ssize_t> shape = shape_of(vectors);
  shape.pop_back();
  Array<uint64_t> codes = make_array<uint64_t>(std::move(shape));
  const float* vector = vectors.data();
  for (uint64_t& code : mutable_span_of(codes)) {
    code = quantize(vector, bits);
    vector += bits;
  }
  return codes;
}

Array<float> project_array(const py::object& z) {
  const Array<float> vectors = require_array<float>(z, "z", 1);
  const int bits = require_code_bits(vectors);
  Array<float> projected = make_array<float>(shape_of(vectors));
  float* out = projected.mutable_data();
  for (py::ssize_t i = 0; i < vectors.size(); i += bits) project(vectors.data() + i, bits, out + i);
  return projected;
}

Array<float> dequantize_array(const py::object& codes, int bits) {
  const Array<uint64_t> c = require_array<uint64_t>(codes, "codes");
  check_code_bits(bits);
  std::vector<py::ssize_t> shape = shape_of(c);
  shape.push_back(bits);
  Array<float> vectors = make_array<float>(std::move(shape));
  float* vector = vectors.mutable_data();
  for (const uint64_t code : span_of(c)) {
    dequantize(code, bits, vector);
    vector += bits;
  }
  return vectors;
}

py::bytes pack_array(const py::object& codes, int bits) {
  return to_bytes(pack_bits(span_of(require_array<uint64_t>(codes, "codes", 1, 1)), bits));
}

Array<uint64_t> unpack_array(const py::object& data, int64_t count, int bits) {
  if (count < 0) {
    throw Error(BSQ_ERROR_ARGUMENT, "the number of codes is " + std::to_string(count));
  }
  const BytesView bytes(data, "data");
  // Before a large array is made: is the data there?
  if (packed_size(static_cast<size_t>(count), bits) > bytes.span().size()) {
    throw Error(BSQ_ERROR_BITSTREAM, "packed codes are cut off: " + std::to_string(count) +
                                         " codes of " + std::to_string(bits) +
                                         " bits do not fit in " +
                                         std::to_string(bytes.span().size()) + " bytes");
  }
  Array<uint64_t> codes = make_array<uint64_t>({static_cast<py::ssize_t>(count)});
  unpack_bits(bytes.span(), bits, mutable_span_of(codes));
  return codes;
}

py::list tile_tuples(const TileGrid& grid) {
  py::list list;
  for (const SuperblockRect& tile : grid.tiles) {
    list.append(py::make_tuple(tile.x_begin, tile.y_begin, tile.x_end - tile.x_begin,
                               tile.y_end - tile.y_begin));
  }
  return list;
}

void bind_tiles(py::module_& m) {
  py::class_<TileGrid>(m, "TileGrid", "How a frame is cut into tiles (docs/bitstream.md).")
      .def_readonly("tokens_x", &TileGrid::tokens_x)
      .def_readonly("tokens_y", &TileGrid::tokens_y)
      .def_readonly("superblocks_x", &TileGrid::superblocks_x)
      .def_readonly("superblocks_y", &TileGrid::superblocks_y)
      .def_readonly("columns", &TileGrid::columns)
      .def_readonly("rows", &TileGrid::rows)
      .def_property_readonly("tiles", &tile_tuples,
                             "(x, y, width, height) of every tile in superblocks, raster order.");
  m.def("tile_grid", &tile_grid, py::arg("width"), py::arg("height"),
        "The tile grid of a frame of the given size in luma samples, 1 to 8192 either way.");
}

}  // namespace

void bind_quantizer(py::module_& m) {
  m.def("quantize", &quantize_array, py::arg("z"),
        "Codes (uint64 [...]) of vectors z (float32 [..., L], L from 1 to 64): bit i is set where "
        "z[..., i] >= 0. Raises UsageError on NaN and infinities.");
  m.def("project", &project_array, py::arg("z"),
        "z / |z| along the last dimension (float32 [..., L]); (1, ..., 1)/sqrt(L) for |z| = 0.");
  m.def("dequantize", &dequantize_array, py::arg("codes"), py::arg("bits"),
        "Vectors (float32 [..., bits]) of codes (uint64 [...]): +-1/sqrt(bits).");
  m.def("pack_bits", &pack_array, py::arg("codes"), py::arg("bits"),
        "Codes (uint64 [N]) as bytes, `bits` bits each, lowest bit first, without gaps.");
  m.def("unpack_bits", &unpack_array, py::arg("data"), py::arg("count"), py::arg("bits"),
        "The `count` codes (uint64 [count]) that pack_bits packed. Raises BitstreamError if the "
        "size does not fit or padding bits are set.");
  bind_tiles(m);
  m.def(
      "sha256",
      [](const py::object& data) {
        const BytesView bytes(data, "data");
        const py::gil_scoped_release unlocked;
        return to_hex(sha256(bytes.span()));
      },
      py::arg("data"), "SHA-256 as 64 hexadecimal digits.");
  m.def(
      "crc32",
      [](const py::object& data, uint32_t previous) {
        return crc32(BytesView(data, "data").span(), previous);
      },
      py::arg("data"), py::arg("previous") = 0U,
      "CRC-32 as in zlib.crc32; `previous` is the checksum of the bytes before.");
}

}  // namespace bsq
