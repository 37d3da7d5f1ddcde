// Python interface of the library as a whole: kernel sets, models, packets without decoding.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>
#include <string>
#include <vector>

#include "arrays.h"
#include "base/quant_step.h"
#include "bitstream/packet_reader.h"
#include "codec/capi/api.h"
#include "errors.h"
#include "handles.h"
#include "sequence_dict.h"

namespace py = pybind11;
using pybind11::literals::operator""_a;

namespace bsq {
namespace {

std::vector<std::string> kernel_sets() {
  const std::string all = bsq_kernel_sets();
  std::vector<std::string> names;
  for (size_t begin = 0; begin < all.size();) {
    const size_t end = std::min(all.find(',', begin), all.size());
    names.push_back(all.substr(begin, end - begin));
    begin = end + 1;
  }
  return names;
}

void set_kernel_set(const std::optional<std::string>& name) {
  const bsq_status status = bsq_set_kernels(name ? name->c_str() : nullptr);
  const std::string message = "kernel set \"" + name.value_or("") +
                              "\" cannot be used here; there are " + bsq_kernel_sets();
  check(status, message.c_str());
}

std::string current_kernel_set() {
  const std::string name = bsq_current_kernels();
  if (name.empty()) {
    const std::string message =
        std::string("the environment variable BSQ_KERNELS names no usable kernel set; there are ") +
        bsq_kernel_sets();
    throw Error(BSQ_ERROR_ARGUMENT, message);
  }
  return name;
}

PyModel load_model(const py::object& data) {
  const BytesView bytes(data, "data");
  char error[kErrorSize] = "";
  bsq_model* model = nullptr;
  check(bsq_model_load(bytes.span().data(), bytes.span().size(), &model, error, sizeof error),
        error);
  return PyModel{Handle<bsq_model>(model), {bytes.span().begin(), bytes.span().end()}};
}

std::string model_id(const PyModel& model) {
  uint8_t id[BSQ_MODEL_ID_SIZE];
  bsq_model_id(model.handle.get(), id);
  return to_hex(id);
}

py::dict model_config(const PyModel& model) {
  const ModelConfig& config = model.handle->model->config();
  py::dict d;
  const auto add = [&](const std::string& name, const NetworkSize& size) {
    d[py::str(name + "_width")] = size.width;
    d[py::str(name + "_hidden")] = size.hidden;
    d[py::str(name + "_blocks")] = size.blocks;
  };
  for (const bool keyframe : {false, true}) {
    const std::string prefix = keyframe ? "key_" : "";
    const NetworkSizes& sizes = config.sizes(keyframe);
    add(prefix + "encoder", sizes.encoder);
    add(prefix + "decoder", sizes.decoder);
    add(prefix + "prior", sizes.prior);
  }
  d["stages"] = config.stages;
  return d;
}

py::dict probe_packet(const py::object& data) {
  const BytesView bytes(data, "data");
  char error[kErrorSize] = "";
  bsq_packet_info info;
  bsq_sequence sequence;
  check(bsq_packet_probe(bytes.span().data(), bytes.span().size(), &info, &sequence, error,
                         sizeof error),
        error);
  return py::dict(
      "keyframe"_a = info.keyframe != 0, "index_in_group"_a = info.index_in_group,
      "frames"_a = info.frames, "held_frames"_a = info.held_frames, "b_frames"_a = info.b_frames,
      "layers"_a = info.layers, "crf"_a = info.crf, "tiles"_a = info.tiles, "pts"_a = info.pts,
      "ticks_per_frame"_a = info.ticks_per_frame, "group_counter"_a = info.group_counter,
      "duration"_a = info.duration,
      "sequence"_a = info.keyframe != 0 ? py::object(sequence_dict(sequence)) : py::none());
}

py::list probe_frames(const py::object& data) {
  const BytesView bytes(data, "data");
  const std::string what = "the packet";  // as long as the reader
  PacketReader reader;
  reader.open(bytes.span(), what);
  const PacketHeader& header = reader.list_frames();
  const TileCounts one;  // all payloads together
  py::list frames;
  for (int i = 0; i < header.frames; ++i) {
    const FrameHeader& frame = reader.read_frame({&one, 1});
    const ComponentHeader& coded = reader.components().front().header;
    const int last = coded.steps[static_cast<size_t>(coded.layers - 1)];
    frames.append(py::dict("ahead"_a = frame.ahead, "back"_a = frame.back, "forth"_a = frame.forth,
                           "bytes"_a = reader.frame_size(),
                           "crf"_a = coded.has_steps ? crf_of_c(last) : -1.0));
  }
  return frames;
}

py::dict probe_sequence(const py::object& data) {
  const BytesView bytes(data, "data");
  char error[kErrorSize] = "";
  bsq_sequence sequence;
  check(
      bsq_sequence_probe(bytes.span().data(), bytes.span().size(), &sequence, error, sizeof error),
      error);
  return sequence_dict(sequence);
}

py::bytes set_packet_group_counter(const py::object& data, int group_counter) {
  const BytesView bytes(data, "data");
  std::vector<uint8_t> packet(bytes.span().begin(), bytes.span().end());
  char error[kErrorSize] = "";
  check(bsq_packet_set_group_counter(packet.data(), packet.size(), group_counter, error,
                                     sizeof error),
        error);
  return to_bytes(packet);
}

}  // namespace

void bind_library(py::module_& m) {
  m.def("kernel_sets", &kernel_sets, "Kernel sets this processor can run, best first.");
  m.def("set_kernels", &set_kernel_set, py::arg("name").none(true),
        "Force a kernel set for encoders and decoders opened from now on; None picks the best.");
  m.def("current_kernels", &current_kernel_set,
        "The kernel set of encoders and decoders opened from now on.");
  py::class_<PyModel>(
      m, "Model", "An immutable model, parsed from the bytes of a model file. Raises ModelError.")
      .def(py::init(&load_model), py::arg("data"))
      .def_property_readonly("id", &model_id)
      .def_property_readonly(
          "name", [](const PyModel& model) { return bsq_model_name(model.handle.get()); })
      .def_property_readonly(
          "json", [](const PyModel& model) { return bsq_model_json(model.handle.get()); })
      .def_property_readonly(
          "stages", [](const PyModel& model) { return model.handle->model->config().stages; },
          "Stages of 32 bits that a token has at most.")
      .def_property_readonly("config", &model_config,
                             "Sizes of the networks, by the names of codec.modelspec.ModelConfig.");
  m.def("probe_packet", &probe_packet, py::arg("data"),
        "Headers of a packet, checksum verified. Raises BitstreamError, UnsupportedError.");
  m.def("probe_frames", &probe_frames, py::arg("data"),
        "The coded frames of a packet, in order. Raises BitstreamError, UnsupportedError.");
  m.def("probe_sequence", &probe_sequence, py::arg("data"),
        "The sequence header in a container's private data. Raises BitstreamError, "
        "UnsupportedError.");
  m.def("set_packet_group_counter", &set_packet_group_counter, py::arg("data"),
        py::arg("group_counter"),
        "The packet with another group counter. Raises BitstreamError, "
        "UnsupportedError.");
}

}  // namespace bsq
