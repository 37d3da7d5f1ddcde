// Python interface of the motion of B frames: search, candidates and symbols.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "arrays.h"
#include "base/thread_pool.h"
#include "codec/common/motion_symbols.h"
#include "codec/decoder/symbol_decoder.h"
#include "codec/encoder/symbol_encoder.h"
#include "motion/b_motion.h"
#include "motion/search_b.h"
#include "motion_arrays.h"
#include "search_arrays.h"

namespace py = pybind11;

namespace bsq {
namespace {

using Tiles = std::optional<std::vector<std::vector<int>>>;

ReferenceDistances distances_of(const std::array<int, 2>& distances) {
  if (distances[0] < 1 || distances[1] < 1) fail("distances: both must be 1 at least");
  return {distances[0], distances[1]};
}

std::vector<Mv> vectors_of(const py::object& mv, const MotionField& shape) {
  Array<uint8_t> all_split(Shape{shape.superblocks_y, shape.superblocks_x});
  std::fill_n(all_split.mutable_data(), shape.split.size(), uint8_t{31});
  return FieldArrays(all_split, mv, shape, std::nullopt).field(shape, 0).mv;
}

// (mv, distance, shared) as TemporalMotion, or None.
class TemporalArgument {
 public:
  TemporalArgument(const py::object& value, const MotionField& shape,
                   const ReferenceDistances& distances) {
    if (value.is_none()) return;
    const auto parts = value.cast<py::tuple>();
    if (parts.size() != 3) fail("temporal: expected (mv, distance, shared)");
    const int distance = parts[1].cast<int>();
    if (distance < 1) fail("temporal: the distance must be 1 at least");
    const bool shared = parts[2].cast<bool>();
    field_.mv = vectors_of(parts[0], shape);
    field_.second = field_.mv;
    const ReferenceDistances from{distance, distance};
    motion_ = TemporalMotion(field_, from, field_, from, shared, distances);
  }
  TemporalArgument(const TemporalArgument&) = delete;  // motion_ points into the object
  TemporalArgument& operator=(const TemporalArgument&) = delete;

  const TemporalMotion& motion() const { return motion_; }

 private:
  MotionField field_;
  TemporalMotion motion_;
};

MotionField field_of(const py::object& split, const py::object& direction_in, const py::object& mv,
                     const ReferenceDistances& distances) {
  const Array<uint8_t> direction = require_array<uint8_t>(direction_in, "direction", 2, 2);
  const auto side = [&](int axis) {
    return kSubblockSize * static_cast<int>(direction.shape(axis));
  };
  const MotionField shape(side(1), side(0));
  const auto of = [&](int i) { return mv.attr("__getitem__")(i); };
  MotionField field = FieldArrays(split, of(0), shape, std::nullopt).field(shape, 0);
  field.set_b(true);
  field.second = FieldArrays(split, of(1), shape, std::nullopt).field(shape, 0).mv;
  std::copy_n(direction.data(), field.direction.size(), field.direction.begin());
  for (size_t i = 0; i < field.direction.size(); ++i) {
    if (field.direction[i] < 1 || field.direction[i] > 3) fail("direction: values are 1 to 3");
    const BlockMotion motion = block_motion(field, i).completed(distances);
    field.mv[i] = motion.mv[0];
    field.second[i] = motion.mv[1];
  }
  return field;
}

py::tuple arrays_of(const MotionField& field) {
  Array<uint8_t> split(Shape{field.superblocks_y, field.superblocks_x});
  Array<uint8_t> direction(Shape{field.subblocks_y, field.subblocks_x});
  Array<int16_t> mv(Shape{2, field.subblocks_y, field.subblocks_x, 2});
  std::copy(field.split.begin(), field.split.end(), split.mutable_data());
  std::copy(field.direction.begin(), field.direction.end(), direction.mutable_data());
  int16_t* out = mv.mutable_data();
  for (size_t i = 0; i < 2; ++i) {
    for (const Mv v : field.vectors(i)) {
      *out++ = v.x;
      *out++ = v.y;
    }
  }
  return py::make_tuple(split, direction, mv);
}

py::tuple search_b(const py::object& cur_in, const py::object& first_in,
                   const py::object& second_in, const std::array<int, 2>& distances_in, double lam,
                   int range, int pair_rounds, const py::object& temporal_in, int bit_depth,
                   const Tiles& tiles_in, int threads) {
  check_depth(bit_depth);
  const Samples cur(cur_in, 2, "cur");
  check_luma(cur, "cur");
  const Samples refs[2] = {{first_in, 2, "first"}, {second_in, 2, "second"}};
  for (const Samples& ref : refs) {
    if (ref.width != cur.width || ref.height != cur.height) fail("all frames must have one shape");
  }
  MotionSearchConfig config = search_config(lam, range);
  config.pair_rounds = pair_rounds;
  const ReferenceDistances distances = distances_of(distances_in);
  MotionField found(cur.width, cur.height);
  const TemporalArgument temporal(temporal_in, found, distances);
  std::vector<BMotionSearchTile> tiles;
  for (const SuperblockRect& rect : superblock_rects(tiles_in, found)) tiles.push_back({rect, {}});
  {
    const py::gil_scoped_release release;
    ThreadPool pool(threads);
    const SearchFrame current = search_frame(cur, 0, bit_depth, "cur");
    const SearchReference first = search_reference(refs[0], 0, bit_depth, "first", pool);
    const SearchReference second = search_reference(refs[1], 0, bit_depth, "second", pool);
    found = BMotionSearch().run(current, {&first, &second}, config, temporal.motion(), distances,
                                tiles, pool);
  }
  return arrays_of(found);
}

py::tuple pair_of(const std::array<Mv, 2>& mv) {
  return py::make_tuple(py::make_tuple(mv[0].x, mv[0].y), py::make_tuple(mv[1].x, mv[1].y));
}

py::dict describe(const BPlace& place) {
  py::list candidates;
  for (size_t i = 0; i < place.candidate_count; ++i) {
    const BlockMotion& motion = place.candidates[i];
    candidates.append(py::make_tuple(motion.direction, pair_of(motion.mv)));
  }
  py::dict out;
  out["square"] = py::make_tuple(place.square.x, place.square.y, place.square.size);
  out["predictor"] = pair_of(place.predictor);
  out["merged"] = place.near_merged;
  out["both"] = place.near_both;
  out["side"] = place.side;
  out["differs"] = place.near_differs;
  out["candidates"] = candidates;
  return out;
}

// What the coding of each square knows, tile after tile.
py::list places(const py::object& split, const py::object& direction, const py::object& mv,
                const std::array<int, 2>& distances_in, const py::object& temporal_in,
                const Tiles& tiles) {
  const ReferenceDistances distances = distances_of(distances_in);
  const MotionField field = field_of(split, direction, mv, distances);
  const TemporalArgument temporal(temporal_in, field, distances);
  std::vector<uint8_t> marks(field.mv.size());
  py::list out;
  for (const SuperblockRect& tile : superblock_rects(tiles, field)) {
    for (int sy = tile.y_begin; sy < tile.y_end; ++sy) {
      for (int sx = tile.x_begin; sx < tile.x_end; ++sx) {
        field.for_squares(sx, sy, [&](const MotionSquare& square) {
          const BPlace place = b_place(field, marks, tile, square, temporal.motion());
          out.append(describe(place));
          const size_t at = field.subblock_index(square.x, square.y);
          const uint8_t mark = place.marks(block_motion(field, at));
          field.for_subblocks(square,
                              [&](int cx, int cy) { marks[field.subblock_index(cx, cy)] = mark; });
        });
      }
    }
  }
  return out;
}

// Codes a field and decodes it again.
py::tuple code(const py::object& split, const py::object& direction, const py::object& mv,
               const std::array<int, 2>& distances_in, const py::object& temporal_in,
               const Tiles& tiles) {
  const ReferenceDistances distances = distances_of(distances_in);
  MotionSymbols coded;
  coded.field = field_of(split, direction, mv, distances);
  const TemporalArgument temporal(temporal_in, coded.field, distances);
  coded.marks.resize(coded.field.mv.size());
  coded.temporal = temporal.motion();
  coded.distances = distances;
  MotionSymbols decoded = coded;
  decoded.field =
      MotionField(kSubblockSize * coded.field.subblocks_x, kSubblockSize * coded.field.subblocks_y);
  decoded.field.set_b(true);
  size_t bytes = 0;
  for (const SuperblockRect& tile : superblock_rects(tiles, coded.field)) {
    SymbolEncoder encoder;
    MotionContexts contexts;
    code_motion(encoder, contexts, tile, coded);
    const std::span<const uint8_t> payload = encoder.finish();
    bytes += payload.size();
    SymbolDecoder decoder(payload);
    contexts = MotionContexts();
    code_motion(decoder, contexts, tile, decoded);
    decoder.check_end("motion");
  }
  return py::make_tuple(bytes, arrays_of(decoded.field));
}

}  // namespace

void bind_b_motion(py::module_& m) {
  m.def("b_motion_search", &search_b, py::arg("cur"), py::arg("first"), py::arg("second"),
        py::arg("distances") = std::array<int, 2>{1, 1}, py::arg("lam") = 4.0,
        py::arg("range") = 64, py::arg("pair_rounds") = 2, py::arg("temporal") = py::none(),
        py::arg("bit_depth") = 8, py::arg("tiles") = py::none(), py::arg("threads") = 1,
        R"(Searches the motion of a luma plane against two references, as that of a B frame.

cur, first, second, lam, range, bit_depth, tiles: as motion_search. distances: of the references, in
frames. pair_rounds: of the refinement of both vectors. temporal: None or (mv, distance, shared): the
vectors int16 [H/8, W/8, 2] that temporal vectors are made of, the frames that they span, and whether
they are those of the first reference into the second (docs/bitstream.md section 4.6).

Returns (split uint8 [ceil(H/32), ceil(W/32)], direction uint8 [H/8, W/8], mv int16 [2, H/8, W/8, 2]).
The result does not depend on threads.)");
  m.def("b_motion_places", &places, py::arg("split"), py::arg("direction"), py::arg("mv"),
        py::arg("distances") = std::array<int, 2>{1, 1}, py::arg("temporal") = py::none(),
        py::arg("tiles") = py::none(),
        R"(What is known of each square of a B frame's field before it is coded, in coding order.

Arguments as b_motion_search has and returns them; vectors that are not used are replaced. A list of
dicts: square (x, y, side in sub-blocks), predictor (two vectors), candidates [(direction, (two vectors))],
and the counts that choose contexts: merged, both, side, differs.)");
  m.def(
      "b_motion_code", &code, py::arg("split"), py::arg("direction"), py::arg("mv"),
      py::arg("distances") = std::array<int, 2>{1, 1}, py::arg("temporal") = py::none(),
      py::arg("tiles") = py::none(),
      R"(Codes a B frame's field with fresh contexts and decodes it: (bytes, (split, direction, mv)).)");
  m.def(
      "scale_motion_vector",
      [](const std::array<int16_t, 2>& v, int n, int d) {
        if (d < 1) fail("d must be 1 at least");
        const Mv scaled = scale_mv({v[0], v[1]}, n, d);
        return py::make_tuple(scaled.x, scaled.y);
      },
      py::arg("v"), py::arg("n"), py::arg("d"),
      "scale(v, n, d) of docs/bitstream.md section 4.6, in x and y.");
}

}  // namespace bsq
