// Python face of encoder and decoder, over the C API.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstring>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "arrays.h"
#include "bitstream/limits.h"
#include "codec/api.h"
#include "errors.h"
#include "handles.h"
#include "sequence_dict.h"

namespace py = pybind11;

namespace bsq {
namespace {

struct PyPacket {
  std::string data;
  int64_t pts;
  int64_t duration;
  bool keyframe;
};

struct PyPicture {
  bsq_picture info;
  std::vector<py::array> planes;
};

int preset_of(const std::string& name) {
  if (name == "fast") return BSQ_PRESET_FAST;
  if (name == "medium") return BSQ_PRESET_MEDIUM;
  throw Error(BSQ_ERROR_ARGUMENT, "preset is \"" + name + "\", it must be \"fast\" or \"medium\"");
}

// A plane of the picture as an array whose samples lie side by side in a row.
py::array plane_array(const py::handle& value, size_t index, const bsq_sequence& s) {
  const std::string name = "planes[" + std::to_string(index) + "]";
  py::array array = require_any_array(py::reinterpret_borrow<py::object>(value), name.c_str());
  const py::dtype wanted = s.bit_depth > 8 ? py::dtype::of<uint16_t>() : py::dtype::of<uint8_t>();
  const py::ssize_t width = index == 0 ? s.width : (s.width + 1) / 2;
  const py::ssize_t height = index == 0 ? s.height : (s.height + 1) / 2;
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
  PyEncoder(const py::object& sequence, const PyModel& model, double crf, int gop, bool scene_cut,
            int threads, const std::string& preset) {
    bsq_encoder_config config;
    bsq_encoder_config_init(&config);
    read_sequence(sequence, config.sequence);
    config.crf = crf;
    config.gop = gop;
    config.scene_cut = scene_cut ? 1 : 0;
    config.threads = threads;
    config.preset = preset_of(preset);
    sequence_ = config.sequence;
    char error[kErrorSize] = "";
    bsq_encoder* encoder = nullptr;
    bsq_status status = BSQ_OK;
    {
      const py::gil_scoped_release release;
      status = bsq_encoder_open(&config, model.handle.get(), &encoder, error, sizeof error);
    }
    check(status, error);
    handle_.reset(encoder);
  }

  py::bytes header() const {
    const uint8_t* data = nullptr;
    size_t size = 0;
    check(bsq_encoder_header(handle_.get(), &data, &size), "no header");
    return to_bytes({data, size});
  }

  void send(const py::sequence& planes, int64_t pts, int64_t duration, bool keyframe) {
    const size_t count = sequence_.chroma == BSQ_CHROMA_GRAY ? 1 : 3;
    if (planes.size() != count) {
      throw Error(BSQ_ERROR_ARGUMENT, "a picture has " + std::to_string(count) + " planes, not " +
                                          std::to_string(planes.size()));
    }
    bsq_picture picture{};
    picture.width = sequence_.width;
    picture.height = sequence_.height;
    picture.chroma = sequence_.chroma;
    picture.bit_depth = sequence_.bit_depth;
    picture.pts = pts;
    picture.duration = duration;
    picture.keyframe = keyframe ? 1 : 0;
    std::vector<py::array> arrays;  // keeps the samples alive
    for (size_t i = 0; i < count; ++i) {
      const py::object plane = planes[i];
      arrays.push_back(plane_array(plane, i, sequence_));
      picture.planes[i] = arrays[i].data();
      picture.strides[i] = arrays[i].strides(0);
    }
    const bsq_status status =
        call([&](bsq_encoder* encoder) { return bsq_encoder_send(encoder, &picture); });
    if (status == BSQ_AGAIN) {
      throw Error(BSQ_ERROR_ARGUMENT, "a packet waits: receive() it before the next send()");
    }
  }

  void flush() { call(bsq_encoder_flush); }

  std::optional<PyPacket> receive() {
    bsq_packet packet{};
    std::string data;
    const bsq_status status = call([&](bsq_encoder* encoder) {
      const bsq_status got = bsq_encoder_receive(encoder, &packet);
      if (got == BSQ_OK) data.assign(reinterpret_cast<const char*>(packet.data), packet.size);
      return got;
    });
    if (status != BSQ_OK) return std::nullopt;
    return PyPacket{std::move(data), packet.pts, packet.duration, packet.keyframe != 0};
  }

  py::dict stats() {
    bsq_packet_stats s{};
    call([&](bsq_encoder* encoder) { return bsq_encoder_stats(encoder, &s); });
    py::dict d;
    d["motion_bits"] = s.motion_bits;
    d["skip_bits"] = s.skip_bits;
    d["token_bits"] = s.token_bits;
    d["ideal_bits"] = s.ideal_bits;
    d["psnr_y"] = s.psnr_y;
    d["tokens"] = static_cast<double>(s.tokens);
    d["coded_tokens"] = static_cast<double>(s.coded_tokens);
    d["coded_stages"] = static_cast<double>(s.coded_stages);
    return d;
  }

  std::string reconstruction_hash() {
    std::string hash;
    call([&](bsq_encoder* encoder) {
      hash = encoder->encoder.reconstruction_hash();
      return BSQ_OK;
    });
    return hash;
  }

 private:
  // fn without the GIL.
  template <class Fn>
  bsq_status call(const Fn& fn) {
    bsq_status status = BSQ_OK;
    std::string message;
    {
      const py::gil_scoped_release release;
      const std::lock_guard lock(mutex_);
      status = fn(handle_.get());
      if (status < 0) message = bsq_encoder_error(handle_.get());
    }
    return check(status, message.c_str());
  }

  bsq_sequence sequence_{};
  std::mutex mutex_;
  Handle<bsq_encoder> handle_;
};

class PyDecoder {
 public:
  PyDecoder(const std::vector<const PyModel*>& models, int threads, int max_level, bool strict,
            bool keep_layers)
      : keep_layers_(keep_layers) {
    bsq_decoder_config config;
    bsq_decoder_config_init(&config);
    config.threads = threads;
    config.max_level = max_level;
    config.strict = strict ? 1 : 0;
    config.keep_layers = keep_layers ? 1 : 0;
    std::vector<const bsq_model*> handles;
    for (const PyModel* model : models) {
      if (model == nullptr) throw Error(BSQ_ERROR_ARGUMENT, "models must be Model objects");
      handles.push_back(model->handle.get());
    }
    char error[kErrorSize] = "";
    bsq_decoder* decoder = nullptr;
    check(bsq_decoder_open(&config, handles.data(), handles.size(), &decoder, error, sizeof error),
          error);
    handle_.reset(decoder);
  }

  void send(const py::object& data, int64_t pts, int64_t duration) {
    const BytesView bytes(data, "data");
    const bsq_packet packet{bytes.span().data(), bytes.span().size(), pts, duration, 0};
    const bsq_status status =
        call([&](bsq_decoder* decoder) { return bsq_decoder_send(decoder, &packet); });
    if (status == BSQ_AGAIN) {
      throw Error(BSQ_ERROR_ARGUMENT, "a picture waits: receive() it before the next send()");
    }
  }

  void flush() { call(bsq_decoder_flush); }

  std::optional<PyPicture> receive() {
    bsq_picture info{};
    // The library's samples are valid until its next call: the copy is made under the same lock,
    // into arrays that the lock's holder alone knows.
    std::vector<uint8_t> samples[3];
    const bsq_status status = call([&](bsq_decoder* decoder) {
      const bsq_status got = bsq_decoder_receive(decoder, &info);
      for (size_t p = 0; p < 3 && got == BSQ_OK && info.planes[p] != nullptr; ++p) {
        const auto* from = static_cast<const uint8_t*>(info.planes[p]);
        const int32_t height = p == 0 ? info.height : (info.height + 1) / 2;
        samples[p].assign(from, from + info.strides[p] * height);
      }
      return got;
    });
    if (status != BSQ_OK) return std::nullopt;
    PyPicture picture{info, {}};
    for (size_t p = 0; p < 3 && info.planes[p] != nullptr; ++p) {
      picture.planes.push_back(array_of(samples[p], info, p));
    }
    return picture;
  }

  void reset() {
    call([](bsq_decoder* decoder) {
      bsq_decoder_reset(decoder);
      return BSQ_OK;
    });
  }

  std::optional<py::dict> sequence() {
    bsq_sequence sequence;
    const bsq_status status =
        call([&](bsq_decoder* decoder) { return bsq_decoder_sequence(decoder, &sequence); });
    if (status != BSQ_OK) return std::nullopt;
    return sequence_dict(sequence);
  }

  // Of the last layer, or None before the first picture and while pictures are concealed.
  py::object tokens() {
    const std::vector<LayerTokens> last = copy_tokens(-1, -1);
    if (last.empty()) return py::none();
    return last.front().arrays();
  }

  py::list layer_tokens() {
    if (!keep_layers_) throw Error(BSQ_ERROR_ARGUMENT, "open the decoder with keep_layers=True");
    py::list layers;
    for (const LayerTokens& layer : copy_tokens(0, kMaxLayers - 1)) layers.append(layer.arrays());
    return layers;
  }

 private:
  struct LayerTokens {
    py::ssize_t height;
    py::ssize_t width;
    py::ssize_t max_stages;
    std::vector<uint8_t> stages;
    std::vector<uint32_t> bits;

    py::tuple arrays() const {
      return py::make_tuple(py::array_t<uint8_t>({height, width}, stages.data()),
                            py::array_t<uint32_t>({height, width, max_stages}, bits.data()));
    }
  };

  // The layers from first to last that there are, all of one packet: copied under one lock.
  std::vector<LayerTokens> copy_tokens(int first, int last) {
    std::vector<LayerTokens> layers;
    call([&](bsq_decoder* decoder) {
      bsq_tokens tokens{};
      for (int i = first; i <= last && bsq_decoder_tokens(decoder, i, &tokens) == BSQ_OK; ++i) {
        const auto count = static_cast<size_t>(tokens.width) * static_cast<size_t>(tokens.height);
        const size_t words = count * static_cast<size_t>(tokens.max_stages);
        layers.push_back({tokens.height,
                          tokens.width,
                          tokens.max_stages,
                          {tokens.stages, tokens.stages + count},
                          {tokens.bits, tokens.bits + words}});
      }
      return BSQ_OK;
    });
    return layers;
  }

  static py::array array_of(const std::vector<uint8_t>& samples, const bsq_picture& info,
                            size_t plane) {
    const py::ssize_t width = plane == 0 ? info.width : (info.width + 1) / 2;
    const py::ssize_t height = plane == 0 ? info.height : (info.height + 1) / 2;
    const py::dtype type =
        info.bit_depth > 8 ? py::dtype::of<uint16_t>() : py::dtype::of<uint8_t>();
    py::array array(type, std::vector<py::ssize_t>{height, width});
    std::memcpy(array.mutable_data(), samples.data(), samples.size());
    return array;
  }

  template <class Fn>
  bsq_status call(const Fn& fn) {
    bsq_status status = BSQ_OK;
    std::string message;
    {
      const py::gil_scoped_release release;
      const std::lock_guard lock(mutex_);
      status = fn(handle_.get());
      if (status < 0) message = bsq_decoder_error(handle_.get());
    }
    return check(status, message.c_str());
  }

  std::mutex mutex_;
  const bool keep_layers_;
  Handle<bsq_decoder> handle_;
};

void bind_units(py::module_& m) {
  py::class_<PyPacket>(m, "Packet")
      .def_property_readonly("data", [](const PyPacket& p) { return py::bytes(p.data); })
      .def_readonly("pts", &PyPacket::pts)
      .def_readonly("duration", &PyPacket::duration)
      .def_readonly("keyframe", &PyPacket::keyframe);
  const auto field = [](auto member) {
    return [member](const PyPicture& p) { return p.info.*member; };
  };
  py::class_<PyPicture>(m, "Picture")
      .def_readonly("planes", &PyPicture::planes)
      .def_property_readonly("width", field(&bsq_picture::width))
      .def_property_readonly("height", field(&bsq_picture::height))
      .def_property_readonly("chroma",
                             [](const PyPicture& p) { return chroma_name(p.info.chroma); })
      .def_property_readonly("bit_depth", field(&bsq_picture::bit_depth))
      .def_property_readonly("pts", field(&bsq_picture::pts))
      .def_property_readonly("duration", field(&bsq_picture::duration))
      .def_property_readonly("keyframe", [](const PyPicture& p) { return p.info.keyframe != 0; })
      .def_property_readonly("concealed", [](const PyPicture& p) { return p.info.concealed != 0; });
}

}  // namespace

void bind_codec(py::module_& m) {
  bind_units(m);
  py::class_<PyEncoder>(m, "Encoder",
                        "send() a picture, receive() packets until None, flush() at the end.")
      .def(
          py::init<const py::object&, const PyModel&, double, int, bool, int, const std::string&>(),
          py::arg("sequence"), py::arg("model"), py::kw_only(), py::arg("crf") = 32.0,
          py::arg("gop") = 250, py::arg("scene_cut") = true, py::arg("threads") = 0,
          py::arg("preset") = "medium")
      .def_property_readonly("header", &PyEncoder::header)
      .def("send", &PyEncoder::send, py::arg("planes"), py::arg("pts"), py::kw_only(),
           py::arg("duration") = 0, py::arg("keyframe") = false)
      .def("flush", &PyEncoder::flush)
      .def("receive", &PyEncoder::receive)
      .def_property_readonly("stats", &PyEncoder::stats)
      .def_property_readonly("reconstruction_hash", &PyEncoder::reconstruction_hash,
                             "SHA-256 of the last picture's samples as a decoder shows them.");
  py::class_<PyDecoder>(m, "Decoder", "send() packets, receive() pictures until None.")
      .def(py::init<const std::vector<const PyModel*>&, int, int, bool, bool>(), py::arg("models"),
           py::kw_only(), py::arg("threads") = 0, py::arg("max_level") = 26,
           py::arg("strict") = false, py::arg("keep_layers") = false)
      .def("send", &PyDecoder::send, py::arg("data"), py::arg("pts") = 0, py::kw_only(),
           py::arg("duration") = 0)
      .def("flush", &PyDecoder::flush)
      .def("receive", &PyDecoder::receive)
      .def("reset", &PyDecoder::reset)
      .def_property_readonly("sequence", &PyDecoder::sequence)
      .def_property_readonly("tokens", &PyDecoder::tokens)
      .def_property_readonly("layer_tokens", &PyDecoder::layer_tokens);
}

}  // namespace bsq
