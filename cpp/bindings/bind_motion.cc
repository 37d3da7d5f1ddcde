// Python interface of motion search and compensation, on NumPy arrays: single frames and batches.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "arrays.h"
#include "base/plane.h"
#include "base/thread_pool.h"
#include "bitstream/limits.h"
#include "codec/common/geometry.h"
#include "cuda/device_state.h"
#include "cuda/motion_search.h"
#include "cuda/open_device.h"
#include "kernels/dispatch.h"
#include "motion/compensate.h"
#include "motion/motion_field.h"
#include "motion/search.h"
#include "motion_arrays.h"
#include "search_arrays.h"

namespace py = pybind11;

namespace bsq {
namespace {

void check_pair(const Samples& cur, const Samples& ref) {
  check_luma(cur, "cur");
  if (cur.array.ndim() != ref.array.ndim() ||
      !std::equal(cur.array.shape(), cur.array.shape() + cur.array.ndim(), ref.array.shape())) {
    fail("cur and ref must have the same shape");
  }
}

// At the rates of fresh contexts, which are those of an Elias gamma code.
std::vector<MotionSearchTile> with_rates(const std::vector<SuperblockRect>& rects, bool fine) {
  std::vector<MotionSearchTile> tiles;
  tiles.reserve(rects.size());
  for (const SuperblockRect& rect : rects) tiles.push_back({rect, MotionRates(fine)});
  return tiles;
}

// `previous` as a field whose superblocks are all split, or nothing.
std::optional<MotionField> previous_field(const py::object& previous, const MotionField& shape) {
  if (previous.is_none()) return std::nullopt;
  Array<uint8_t> all_split(Shape{shape.superblocks_y, shape.superblocks_x});
  const bool fine = shape_of(require_any_array(previous, "mv")) ==
                    FieldArrays::vector_shape(shape, true, std::nullopt);
  std::fill_n(all_split.mutable_data(), shape.split.size(), static_cast<uint8_t>(fine ? 31 : 1));
  return FieldArrays(all_split, previous, shape, std::nullopt).field(shape, 0);
}

// The same on an emulated device of the CUDA backend.
MotionField search_emulated(int number, const Samples& cur, const Samples& ref, int bit_depth,
                            const MotionSearchConfig& config,
                            const std::optional<MotionField>& before,
                            const std::vector<MotionSearchTile>& areas) {
  const std::unique_ptr<cuda::Device> device = cuda::open_device(number, nullptr);
  Geometry geometry = Geometry::of(cur.width, cur.height, BSQ_CHROMA_GRAY, bit_depth);
  geometry.tiles.clear();
  for (const MotionSearchTile& area : areas) {
    const SuperblockRect& r = area.superblocks;
    geometry.tiles.push_back({r.x_begin, r.y_begin, r.x_end, r.y_end});
  }
  Plane samples[2];
  const cuda::DeviceFrame frames[2] = {{*device, geometry}, {*device, geometry}};
  for (size_t i = 0; i < 2; ++i) {
    load_or_fail(i == 0 ? cur : ref, 0, bit_depth, i == 0 ? "cur" : "ref", samples[i]);
    const ConstPlaneView view = std::as_const(samples[i]).view();
    const cuda::Planes& planes = frames[i].planes();
    for (int y = 0; y < view.height; ++y) {
      device->upload(&planes.at(0, 0, y), view.row(y),
                     static_cast<size_t>(view.width) * sizeof(uint16_t));
    }
  }
  MotionField field = before ? *before : MotionField();
  cuda::DeviceSearch(*device, geometry)
      .run(frames[0].planes(), frames[1].planes(), config, areas, field);
  return field;
}

py::tuple search_one(const py::object& cur_in, const py::object& ref_in, double lam, int range,
                     const py::object& previous, int bit_depth,
                     const std::optional<std::vector<std::vector<int>>>& tiles, int threads,
                     bool fine, const std::optional<int>& device) {
  check_depth(bit_depth);
  const Samples cur(cur_in, 2, "cur");
  const Samples ref(ref_in, 2, "ref");
  check_pair(cur, ref);
  const MotionSearchConfig config = search_config(lam, range);
  MotionField found(cur.width, cur.height);
  const std::optional<MotionField> before = previous_field(previous, found);
  const std::vector<MotionSearchTile> areas = with_rates(superblock_rects(tiles, found), fine);
  {
    const py::gil_scoped_release release;
    if (device) {
      found = search_emulated(*device, cur, ref, bit_depth, config, before, areas);
    } else {
      const SearchFrame a = search_frame(cur, 0, bit_depth, "cur");
      ThreadPool pool(threads);
      const SearchReference b = search_reference(ref, 0, bit_depth, "ref", pool);
      found = MotionSearch().run(a, b, config, before ? &*before : nullptr, areas, pool);
    }
  }
  Array<uint8_t> split(Shape{found.superblocks_y, found.superblocks_x});
  Array<int16_t> mv(FieldArrays::vector_shape(found, fine, std::nullopt));
  write_field(found, fine, split.mutable_data(), mv.mutable_data());
  return py::make_tuple(split, mv);
}

py::tuple search_batch(const py::object& cur_in, const py::object& ref_in, double lam, int range,
                       int bit_depth, int threads, bool fine) {
  check_depth(bit_depth);
  const Samples cur(cur_in, 3, "cur");
  const Samples ref(ref_in, 3, "ref");
  check_pair(cur, ref);
  const MotionSearchConfig config = search_config(lam, range);
  const size_t batch = static_cast<size_t>(cur.array.shape(0));
  const MotionField shape(cur.width, cur.height);
  Array<uint8_t> split(Shape{cur.array.shape(0), shape.superblocks_y, shape.superblocks_x});
  Array<int16_t> mv(FieldArrays::vector_shape(shape, fine, batch));
  const size_t vectors =
      fine ? shape.mv.size()
           : static_cast<size_t>(shape.blocks_x) * static_cast<size_t>(shape.blocks_y);
  const std::vector<MotionSearchTile> areas = with_rates({whole_frame(shape)}, fine);
  uint8_t* split_out = split.mutable_data();
  int16_t* mv_out = mv.mutable_data();
  {
    const py::gil_scoped_release release;
    ThreadPool pool(threads);
    pool.parallel_for(batch, [&](size_t i) {
      const SearchFrame a = search_frame(cur, i, bit_depth, "cur");
      ThreadPool alone(1);
      const SearchReference b = search_reference(ref, i, bit_depth, "ref", alone);
      write_field(MotionSearch().run(a, b, config, nullptr, areas, alone), fine,
                  split_out + i * shape.split.size(), mv_out + i * vectors * 2);
    });
  }
  return py::make_tuple(split, mv);
}

void check_planes(const std::vector<Samples>& planes) {
  if (planes.size() != 1 && planes.size() != 3) fail("expected 1 plane (gray) or 3 planes");
  check_luma(planes[0], "plane 0");
  for (size_t p = 1; p < planes.size(); ++p) {
    const bool full = planes[p].width == planes[0].width && planes[p].height == planes[0].height;
    const bool half =
        planes[p].width * 2 == planes[0].width && planes[p].height * 2 == planes[0].height;
    if (!full && !half) {
      fail("plane " + std::to_string(p) +
           ": must have the size of plane 0 or half of it on both axes");
    }
    if (planes[p].wide != planes[0].wide) fail("all planes must have one sample type");
    if (planes[p].array.ndim() == 3 && planes[p].array.shape(0) != planes[0].array.shape(0)) {
      fail("all planes must have one batch size");
    }
  }
}

// Predicts the frames of a batch; planes and fields share the batch axis, which may be absent.
std::vector<py::array> compensate(const std::vector<Samples>& planes, const FieldArrays& fields,
                                  size_t batch, int bit_depth, int threads) {
  std::vector<py::array> out;
  std::vector<void*> out_data;
  for (const Samples& plane : planes) {
    out.push_back(plane.empty_like());
    out_data.push_back(out.back().mutable_data());
  }
  const MotionField shape(planes[0].width, planes[0].height);
  const py::gil_scoped_release release;
  ThreadPool pool(threads);
  pool.parallel_for(batch, [&](size_t i) {
    const MotionField field = fields.field(shape, i);
    Frame ref;
    ref.bit_depth = bit_depth;
    ref.plane_count = static_cast<int>(planes.size());
    Frame result;
    result.bit_depth = bit_depth;
    result.plane_count = ref.plane_count;
    for (size_t p = 0; p < planes.size(); ++p) {
      load_or_fail(planes[p], i, bit_depth, "reference", ref.planes[p]);
      result.planes[p] = Plane(planes[p].width, planes[p].height);
    }
    motion_compensate_rows({&ref, nullptr}, field, 0, field.superblocks_y, result);
    for (size_t p = 0; p < planes.size(); ++p) planes[p].store(result.planes[p], out_data[p], i);
  });
  return out;
}

std::vector<py::array> compensate_one(const std::vector<py::object>& ref_planes,
                                      const py::object& split, const py::object& mv,
                                      int bit_depth) {
  check_depth(bit_depth);
  std::vector<Samples> planes;
  planes.reserve(ref_planes.size());
  for (const py::object& plane : ref_planes) planes.emplace_back(plane, 2, "plane");
  check_planes(planes);
  const FieldArrays fields(split, mv, MotionField(planes[0].width, planes[0].height), std::nullopt);
  return compensate(planes, fields, 1, bit_depth, 1);
}

py::tuple predict_batch(const py::object& y, const py::object& u, const py::object& v,
                        const py::object& split, const py::object& mv, int bit_depth, int threads) {
  check_depth(bit_depth);
  std::vector<Samples> planes;
  planes.emplace_back(y, 3, "y");
  planes.emplace_back(u, 3, "u");
  planes.emplace_back(v, 3, "v");
  check_planes(planes);
  const size_t batch = static_cast<size_t>(planes[0].array.shape(0));
  const FieldArrays fields(split, mv, MotionField(planes[0].width, planes[0].height), batch);
  return py::cast(compensate(planes, fields, batch, bit_depth, threads)).cast<py::tuple>();
}

// Predictors of all vectors of a field; that of a superblock or block is in all its sub-blocks.
Array<int16_t> predictors(int width, int height, const py::object& split, const py::object& mv,
                          const std::optional<std::vector<int>>& tile) {
  if (width < 8 || height < 8 || width > kMaxFrameSide || height > kMaxFrameSide) {
    fail("width and height must be 8 to 8192 luma samples");
  }
  const MotionField shape(width, height);
  const FieldArrays fields(split, mv, shape, std::nullopt);
  const MotionField field = fields.field(shape, 0);
  const SuperblockRect rect = tile ? superblock_rect(*tile, field) : whole_frame(field);
  MotionField out = shape;
  for (int sy = rect.y_begin; sy < rect.y_end; ++sy) {
    for (int sx = rect.x_begin; sx < rect.x_end; ++sx) {
      field.for_squares(sx, sy, [&](const MotionSquare& square) {
        out.set(square, predict_mv(field, rect, square));
      });
    }
  }
  Array<int16_t> result(FieldArrays::vector_shape(shape, fields.fine, std::nullopt));
  std::vector<uint8_t> unused(out.split.size());
  write_field(out, fields.fine, unused.data(), result.mutable_data());
  return result;
}

}  // namespace

void bind_motion(py::module_& m) {
  m.def("motion_search", &search_one, py::arg("cur"), py::arg("ref"), py::arg("lam") = 4.0,
        py::arg("range") = 64, py::arg("previous") = py::none(), py::arg("bit_depth") = 8,
        py::arg("tiles") = py::none(), py::arg("threads") = 1, py::arg("fine") = false,
        py::arg("emulated_device") = py::none(),
        R"(Searches the motion of a luma plane against another.

cur, ref: uint8 or uint16 [H, W], H and W multiples of 8. lam: lambda, for an estimated bit of vector
in units of absolute difference of 8-bit samples. range: luma samples each way of the coarse search,
4 to 512. previous: int16 [ceil(H/16), ceil(W/16), 2] or [H/8, W/8, 2], vectors to try as well. bit_depth: 8 or 10.
tiles: (x_begin, y_begin, x_end, y_end) in superblocks, ends excluded, of the rectangles within which
vectors are predicted; they tile the frame; None is one tile. The result does not depend on threads.
emulated_device: the number of an emulated device of the CUDA backend to search on, or None.

Returns (split uint8 [ceil(H/32), ceil(W/32)], mv int16 [ceil(H/16), ceil(W/16), 2]); mv holds
(x, y) in quarter luma samples. fine: blocks may be split into 8x8 sub-blocks; mv is [H/8, W/8, 2] then,
and split, where it is not 0, is 1 plus 2 << i for every such block i of the superblock.
Raises UsageError for other types, shapes or sample values.)");
  m.def("motion_search_batch", &search_batch, py::arg("cur"), py::arg("ref"), py::arg("lam") = 4.0,
        py::arg("range") = 64, py::arg("bit_depth") = 8, py::arg("threads") = 1,
        py::arg("fine") = false,
        R"(motion_search over a batch, without the GIL: cur, ref [B, H, W].

Returns (split uint8 [B, ceil(H/32), ceil(W/32)], mv int16 [B, ceil(H/16), ceil(W/16), 2]), or mv
[B, H/8, W/8, 2] if `fine`. The result does not depend on threads.)");
  m.def("motion_compensate", &compensate_one, py::arg("ref_planes"), py::arg("split"),
        py::arg("mv"), py::arg("bit_depth") = 8,
        R"(Predicts a frame from a reference frame and a motion field (docs/bitstream.md).

ref_planes: one plane (gray) or three, uint8 or uint16 [H, W]; the luma sides are multiples of 8,
chroma has its size or half of it on both axes (4:2:0). split, mv: as motion_search returns them.
Returns a list of arrays like ref_planes. Raises UsageError for other types, shapes or values.)");
  m.def("motion_predict_batch", &predict_batch, py::arg("y"), py::arg("u"), py::arg("v"),
        py::arg("split"), py::arg("mv"), py::arg("bit_depth") = 8, py::arg("threads") = 1,
        R"(motion_compensate over a batch of 4:2:0 frames, without the GIL.

y [B, H, W], u and v [B, H/2, W/2], split and mv as motion_search_batch returns them.
Returns (y, u, v) of the same types and shapes.)");
  m.def("motion_vector_predictors", &predictors, py::arg("width"), py::arg("height"),
        py::arg("split"), py::arg("mv"), py::arg("tile") = py::none(),
        R"(The vector that each vector of a field is coded against (docs/bitstream.md).

width, height: luma samples. tile: (x_begin, y_begin, x_end, y_end) in superblocks, ends excluded;
predictors are found inside it, and are zero outside; the whole frame if None.
Returns int16 in the shape of mv. Raises UsageError for what does not fit.)");
}

}  // namespace bsq
