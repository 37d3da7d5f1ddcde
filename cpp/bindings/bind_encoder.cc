// Python interface of the encoder, over the C API.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <iterator>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "arrays.h"
#include "codec/capi/api.h"
#include "codec/common/geometry.h"
#include "device_plane.h"
#include "encoder_handle.h"
#include "errors.h"
#include "sequence_dict.h"
#include "trace_arrays.h"

namespace py = pybind11;
using pybind11::literals::operator""_a;

namespace bsq {
namespace {

struct PyPacket {
  std::string data;
  int64_t pts;
  int64_t duration;
  bool keyframe;
  bool disposable;
};

// Seconds, bits, crf, keyframe: as in bsq_pass_record.
using PassTuple = std::tuple<double, double, double, bool>;

// A value as bsq_encoder_config_set() takes it.
std::string setting_value(const py::handle& value) {
  if (py::isinstance<py::bool_>(value)) return value.cast<bool>() ? "1" : "0";
  return py::str(value).cast<std::string>();
}

// Throws Error naming the setting.
void set_settings(bsq_encoder_config& config, const py::dict& settings) {
  for (const auto& [name, value] : settings) {
    char message[kErrorSize] = "";
    check(bsq_encoder_config_set(&config, py::str(name).cast<std::string>().c_str(),
                                 setting_value(value).c_str(), message, sizeof message),
          message);
  }
}

void check_encoder_settings(const py::kwargs& settings) {
  bsq_encoder_config config;
  bsq_encoder_config_init(&config);
  set_settings(config, settings);
}

// Python's value of a setting: int, float, bool, or the name of a choice.
py::object setting_object(const bsq_setting& setting, double value) {
  switch (setting.type) {
    case BSQ_SETTING_INTEGER:
      return py::int_(static_cast<int64_t>(value));
    case BSQ_SETTING_BOOLEAN:
      return py::bool_(value != 0);
    case BSQ_SETTING_CHOICE:
      return py::str(setting.choices[static_cast<size_t>(value)]);
    default:
      return py::float_(value);
  }
}

const char* setting_type(const bsq_setting& setting) {
  constexpr const char* kNames[] = {"integer", "number", "boolean", "choice"};
  return kNames[setting.type];
}

py::tuple setting_choices(const bsq_setting& setting) {
  py::list names;
  if (setting.choices != nullptr) {
    for (int i = 0; i <= static_cast<int>(setting.maximum); ++i) names.append(setting.choices[i]);
  }
  return py::tuple(names);
}

py::list encoder_settings_list() {
  size_t count = 0;
  const bsq_setting* settings = bsq_encoder_settings(&count);
  py::list list;
  for (size_t i = 0; i < count; ++i) list.append(settings[i]);
  return list;
}

// A plane of the frame as an array whose samples lie side by side in a row.
py::array plane_array(const py::handle& value, size_t index, const bsq_sequence& s) {
  const std::string name = "planes[" + std::to_string(index) + "]";
  py::array array = require_any_array(py::reinterpret_borrow<py::object>(value), name.c_str());
  const py::dtype wanted = s.bit_depth > 8 ? py::dtype::of<uint16_t>() : py::dtype::of<uint8_t>();
  const auto [width, height] = plane_size(s, static_cast<int>(index));
  if (!same_dtype(array.dtype(), wanted) || array.ndim() != 2 || array.shape(0) != height ||
      array.shape(1) != width) {
    throw Error(BSQ_ERROR_ARGUMENT,
                name + " must be an array of " + std::to_string(height) + "x" +
                    std::to_string(width) + " " + py::str(wanted).cast<std::string>() + ", not " +
                    shape_text(array) + " " + py::str(array.dtype()).cast<std::string>());
  }
  if (array.strides(1) != array.itemsize()) array = dense_array(array, name.c_str());
  return array;
}

// One thread at a time may use a handle; Python's threads may all have this object.
class PyEncoder {
 public:
  PyEncoder(const py::object& sequence, const PyModel& model,
            const std::vector<PassTuple>& first_pass, const CudaLibrary* library, int device,
            uintptr_t stream, const py::kwargs& settings) {
    bsq_encoder_config config;
    bsq_encoder_config_init(&config);
    read_sequence(sequence, config.sequence);
    set_settings(config, settings);
    std::vector<bsq_pass_record> records;
    records.reserve(first_pass.size());
    for (const auto& [seconds, bits, step, keyframe] : first_pass) {
      records.push_back({seconds, bits, step, keyframe ? 1 : 0, {}});
    }
    config.first_pass = records.data();
    config.first_pass_count = records.size();
    sequence_ = config.sequence;
    // NOLINTNEXTLINE(performance-no-int-to-ptr): a handle
    place_ = {library, device, reinterpret_cast<void*>(stream)};
    const py::gil_scoped_release release;
    handle_ = open_encoder(config, model, place_);
  }

  py::bytes header() const {
    const uint8_t* data = nullptr;
    size_t size = 0;
    check(handle_->header(&data, &size), "no header");
    return to_bytes({data, size});
  }

  void send(const py::sequence& planes, int64_t pts, int64_t duration, bool keyframe,
            bool context_only) {
    bsq_frame frame = make_frame(planes, pts, duration, keyframe);
    frame.context_only = context_only ? 1 : 0;
    std::vector<py::array> arrays;  // keeps the samples alive
    for (size_t i = 0; i < planes.size(); ++i) {
      const py::object plane = planes[i];
      arrays.push_back(plane_array(plane, i, sequence_));
      frame.planes[i] = arrays[i].data();
      frame.strides[i] = arrays[i].strides(0);
    }
    require_sent(call([&] { return handle_->send(frame); }));
  }

  void send_device(const py::sequence& planes, int64_t pts, int64_t duration, bool keyframe) {
    bsq_frame frame = make_frame(planes, pts, duration, keyframe);
    std::vector<DevicePlane> taken;  // keeps the samples alive
    for (size_t i = 0; i < planes.size(); ++i) {
      taken.emplace_back(planes[i], i, sequence_, place_);
      frame.planes[i] = taken[i].data();
      frame.strides[i] = taken[i].stride();
    }
    require_sent(call([&] { return handle_->send_device(frame); }));
  }

  void flush() {
    call([&] { return handle_->flush(); });
  }

  std::optional<PyPacket> receive() {
    bsq_packet packet{};
    std::string data;
    const bsq_status status = call([&] {
      const bsq_status got = handle_->receive(packet);
      if (got == BSQ_OK) data.assign(reinterpret_cast<const char*>(packet.data), packet.size);
      return got;
    });
    if (status != BSQ_OK) return std::nullopt;
    return PyPacket{std::move(data), packet.pts, packet.duration, packet.keyframe != 0,
                    packet.disposable != 0};
  }

  py::dict stats() {
    bsq_packet_stats s{};
    call([&] { return handle_->stats(s); });
    return py::dict(
        "motion_bits"_a = s.motion_bits, "flag_bits"_a = s.flag_bits,
        "delta_q_bits"_a = s.delta_q_bits, "sample_bits"_a = s.sample_bits,
        "token_bits"_a = s.token_bits, "ideal_bits"_a = s.ideal_bits, "psnr_y"_a = s.psnr_y,
        "level_bits"_a = std::vector<double>(std::begin(s.level_bits), std::end(s.level_bits)),
        "tokens"_a = static_cast<double>(s.tokens),
        "coded_tokens"_a = static_cast<double>(s.coded_tokens),
        "coded_stages"_a = static_cast<double>(s.coded_stages));
  }

  PassTuple pass_record() {
    bsq_pass_record r{};
    call([&] { return handle_->pass_record(r); });
    return {r.seconds, r.bits, r.crf, r.keyframe != 0};
  }

  py::dict rate() {
    bsq_rate_report r{};
    call([&] { return handle_->rate(r); });
    return py::dict("bitrate"_a = r.bitrate, "maxrate"_a = r.maxrate,
                    "actual_bitrate"_a = r.actual_bitrate, "vbv_buffer_bits"_a = r.vbv_buffer_bits,
                    "vbv_min_fullness"_a = r.vbv_min_fullness,
                    "underflows"_a = static_cast<double>(r.underflows),
                    "frames_at_max_q"_a = static_cast<double>(r.frames_at_max_q),
                    "frames_capped"_a = static_cast<double>(r.frames_capped));
  }

  void trace() {
    call([&] {
      handle_->processor()->codec.trace();
      return BSQ_OK;
    });
  }

  py::list take_layers() {
    std::vector<LayerTrace> layers;
    call([&] {
      layers = handle_->processor()->codec.take_layers();
      return BSQ_OK;
    });
    py::list list;
    for (const LayerTrace& layer : layers) list.append(layer_dict(layer));
    return list;
  }

  std::string reconstruction_hash() {
    std::string hash;
    call([&] {
      hash = handle_->processor()->codec.reconstruction_hash();
      return BSQ_OK;
    });
    return hash;
  }

 private:
  // fn without the GIL.
  template <class Fn>
  bsq_status call(const Fn& fn) {
    return call_locked(mutex_, fn, [&] { return handle_->error(); });
  }

  bsq_frame make_frame(const py::sequence& planes, int64_t pts, int64_t duration,
                       bool keyframe) const {
    const auto count = static_cast<size_t>(plane_count(sequence_));
    if (planes.size() != count) {
      throw Error(BSQ_ERROR_ARGUMENT, "a frame has " + std::to_string(count) + " planes, not " +
                                          std::to_string(planes.size()));
    }
    bsq_frame frame{};
    frame.width = sequence_.width;
    frame.height = sequence_.height;
    frame.chroma = sequence_.chroma;
    frame.bit_depth = sequence_.bit_depth;
    frame.pts = pts;
    frame.duration = duration;
    frame.keyframe = keyframe ? 1 : 0;
    return frame;
  }

  static void require_sent(bsq_status status) {
    if (status == BSQ_AGAIN) {
      throw Error(BSQ_ERROR_ARGUMENT, "a packet waits: receive() it before the next send()");
    }
  }

  bsq_sequence sequence_{};
  EncoderPlace place_;
  std::mutex mutex_;
  std::unique_ptr<EncoderHandle> handle_;
};

}  // namespace

void bind_encoder(py::module_& m) {
  py::class_<bsq_setting>(m, "EncoderSetting")
      .def_property_readonly("name", [](const bsq_setting& s) { return s.name; })
      .def_property_readonly("type", &setting_type)
      .def_property_readonly("zero_is_none",
                             [](const bsq_setting& s) { return s.zero_is_none != 0; })
      .def_property_readonly("minimum",
                             [](const bsq_setting& s) { return setting_object(s, s.minimum); })
      .def_property_readonly("maximum",
                             [](const bsq_setting& s) { return setting_object(s, s.maximum); })
      .def_property_readonly(
          "default", [](const bsq_setting& s) { return setting_object(s, s.default_value); })
      .def_property_readonly("file_default",
                             [](const bsq_setting& s) { return setting_object(s, s.file_default); })
      .def_property_readonly("choices", &setting_choices)
      .def_property_readonly("unit", [](const bsq_setting& s) { return s.unit; })
      .def_property_readonly("help", [](const bsq_setting& s) { return s.help; });
  m.def("encoder_settings", &encoder_settings_list, "All settings of an encoder.");
  m.def("check_encoder_settings", &check_encoder_settings,
        "Raises UsageError where a setting is unknown or out of range.");
  py::class_<PyPacket>(m, "Packet")
      .def_property_readonly("data", [](const PyPacket& p) { return py::bytes(p.data); })
      .def_readonly("pts", &PyPacket::pts)
      .def_readonly("duration", &PyPacket::duration)
      .def_readonly("keyframe", &PyPacket::keyframe)
      .def_readonly("disposable", &PyPacket::disposable);
  py::class_<PyEncoder>(m, "Encoder",
                        "send() a frame, receive() packets until None, flush() at the end.")
      .def(py::init<const py::object&, const PyModel&, const std::vector<PassTuple>&,
                    const CudaLibrary*, int, uintptr_t, const py::kwargs&>(),
           py::arg("sequence"), py::arg("model"), py::kw_only(),
           py::arg("first_pass") = std::vector<PassTuple>(), py::arg("library") = nullptr,
           py::arg("device") = 0, py::arg("stream") = 0, py::keep_alive<1, 5>())
      .def_property_readonly("header", &PyEncoder::header)
      .def("send", &PyEncoder::send, py::arg("planes"), py::arg("pts"), py::kw_only(),
           py::arg("duration") = 0, py::arg("keyframe") = false, py::arg("context_only") = false)
      .def("send_device", &PyEncoder::send_device, py::arg("planes"), py::arg("pts"), py::kw_only(),
           py::arg("duration") = 0, py::arg("keyframe") = false,
           "The same with planes that are on the encoder's device, by DLPack.")
      .def("flush", &PyEncoder::flush)
      .def("receive", &PyEncoder::receive)
      .def_property_readonly("stats", &PyEncoder::stats)
      .def_property_readonly("pass_record", &PyEncoder::pass_record)
      .def_property_readonly("rate", &PyEncoder::rate)
      .def("trace", &PyEncoder::trace, "Notes layers from now on, for training.")
      .def("take_layers", &PyEncoder::take_layers,
           "The layers of the first component coded since the last call, as dictionaries.")
      .def_property_readonly("reconstruction_hash", &PyEncoder::reconstruction_hash,
                             "SHA-256 of the last frame's samples as a decoder shows them.");
}

}  // namespace bsq
