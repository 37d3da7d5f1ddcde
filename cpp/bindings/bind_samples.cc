// Vectors from and to sample planes, for tests of the step between frames and networks.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <string>
#include <vector>

#include "arrays.h"
#include "base/quant_step.h"
#include "bitstream/limits.h"
#include "network/samples.h"
#include "network_arrays.h"

namespace py = pybind11;

namespace bsq {

void bind_samples(py::module_& m);

namespace {

// Planes uint16 [H, W] (and two of half the size), as a frame of whole tokens.
Frame frame_of(const std::vector<py::object>& planes, int bit_depth, const char* name) {
  if ((bit_depth != 8 && bit_depth != 10) || (planes.size() != 1 && planes.size() != 3)) {
    fail_argument(std::string(name) + " must be one or three planes of 8 or 10 bits");
  }
  Frame frame{bit_depth, static_cast<int>(planes.size()), {}};
  for (size_t i = 0; i < planes.size(); ++i) {
    const auto samples = require_array<uint16_t>(planes[i], name, 2, 2);
    if (std::max(samples.shape(0), samples.shape(1)) > kMaxFrameSide) {
      fail_argument(std::string(name) + " must have sides of at most 8192 samples");
    }
    frame.planes[i] = Plane(static_cast<int>(samples.shape(1)), static_cast<int>(samples.shape(0)));
    const std::span<const uint16_t> values = span_of(samples);
    if (std::any_of(values.begin(), values.end(), [&](int v) { return v >= 1 << bit_depth; })) {
      fail_argument(std::string(name) + " holds a sample of more than " +
                    std::to_string(bit_depth) + " bits");
    }
    std::copy(values.begin(), values.end(), frame.planes[i].view().data);
  }
  const Plane& luma = frame.planes[0];
  bool fits = luma.width() % kTokenSize == 0 && luma.height() % kTokenSize == 0 && !luma.empty();
  for (int i = 1; i < frame.plane_count; ++i) {
    fits = fits && 2 * frame.planes[i].width() == luma.width() &&
           2 * frame.planes[i].height() == luma.height();
  }
  if (!fits) fail_argument(std::string(name) + " must be planes of whole tokens, chroma of 4:2:0");
  return frame;
}

ActiveTokens active_in(const Frame& frame, const py::object& superblocks) {
  return make_active(frame.planes[0].height() / kTokenSize, frame.planes[0].width() / kTokenSize,
                     superblocks);
}

Array<int16_t> side_of(const std::vector<py::object>& prediction, int bit_depth, int q, bool first,
                       bool later, int above, const py::object& superblocks,
                       const py::object& prediction_side, int threads) {
  const Frame frame = frame_of(prediction, bit_depth, "prediction");
  const ActiveTokens active = active_in(frame, superblocks);
  std::vector<int16_t> rows(static_cast<size_t>(active.count()) * kSideVector);
  ThreadPool pool(threads);
  step_q8(q);
  std::span<const int16_t> values;
  if (!prediction_side.is_none()) {
    const auto array = require_array<int16_t>(prediction_side, "prediction_side", 3, 3);
    if (array.shape(0) != active.height() || array.shape(1) != active.width() ||
        array.shape(2) != kPredictionSide) {
      fail_argument("prediction_side must have two values per token");
    }
    values = span_of(array);
  }
  side_vectors(frame, active, {q, kUsualChromaOffset}, {first, later, above}, values, pool,
               rows.data());
  return scatter(rows, active, kSideVector);
}

Array<int16_t> residual_of(const std::vector<py::object>& source,
                           const std::vector<py::object>& prediction, int bit_depth, int q,
                           const py::object& superblocks, int chroma_crf_offset, int threads) {
  const Frame from = frame_of(source, bit_depth, "source");
  const Frame minus = frame_of(prediction, bit_depth, "prediction");
  if (from.plane_count != minus.plane_count || from.planes[0].width() != minus.planes[0].width() ||
      from.planes[0].height() != minus.planes[0].height()) {
    fail_argument("source and prediction must be of one format");
  }
  const ActiveTokens active = active_in(from, superblocks);
  std::vector<int16_t> rows(static_cast<size_t>(active.count()) * kSampleVector);
  ThreadPool pool(threads);
  residual_vectors(from, minus, active, {q, chroma_crf_offset}, pool, rows.data());
  return scatter(rows, active, kSampleVector);
}

std::vector<Array<uint16_t>> reconstruct_planes(const std::vector<py::object>& prediction,
                                                int bit_depth, const py::object& output_in, int q,
                                                const py::object& superblocks,
                                                int chroma_crf_offset, int threads) {
  Frame frame = frame_of(prediction, bit_depth, "prediction");
  const auto output = require_tokens<int16_t>(output_in, "output", kSampleVector);
  const ActiveTokens active = active_in(frame, superblocks);
  if (output.shape(0) != active.height() || output.shape(1) != active.width()) {
    fail_argument("output must have one vector per token; its shape is " + shape_text(output));
  }
  const auto rows = gather(output, active);
  ThreadPool pool(threads);
  reconstruct(rows.data(), active, {q, chroma_crf_offset}, pool, frame);
  std::vector<Array<uint16_t>> planes;
  for (int i = 0; i < frame.plane_count; ++i) {
    const Plane& plane = frame.planes[i];
    auto array = make_array<uint16_t>({plane.height(), plane.width()});
    std::copy_n(plane.view().data, array.size(), array.mutable_data());
    planes.push_back(std::move(array));
  }
  return planes;
}

}  // namespace

void bind_samples(py::module_& m) {
  const auto superblocks = py::arg("active") = py::none();
  const auto threads = py::arg("threads") = 1;
  const auto chroma = py::arg("chroma_crf_offset") = kUsualChromaOffset;
  m.def("step_q8", &step_q8, py::arg("q"),
        "Quantization step of q, Q8: docs/numerics.md section 3.");
  m.def("side_vectors", &side_of, py::arg("prediction"), py::arg("bit_depth"), py::arg("q"),
        py::arg("first_of_keyframe"), py::arg("later"), py::arg("above"), superblocks,
        py::kw_only(), py::arg("prediction_side") = py::none(), threads,
        "Side vectors int16 [H, W, 104] of a list of uint16 planes of whole tokens; "
        "prediction_side int16 [H, W, 2], or None for 0.");
  m.def("residual_vectors", &residual_of, py::arg("source"), py::arg("prediction"),
        py::arg("bit_depth"), py::arg("q"), superblocks, py::kw_only(), chroma, threads,
        "Residual vectors int16 [H, W, 96].");
  m.def("reconstruct", &reconstruct_planes, py::arg("prediction"), py::arg("bit_depth"),
        py::arg("output"), py::arg("q"), superblocks, py::kw_only(), chroma, threads,
        "Planes of prediction + step * output; output int16 [H, W, 96].");
}

}  // namespace bsq
