// Python interface of the decoder, over the C API.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "arrays.h"
#include "bitstream/limits.h"
#include "codec/capi/api.h"
#include "errors.h"
#include "frame_arrays.h"
#include "handles.h"
#include "sequence_dict.h"

namespace py = pybind11;

namespace bsq {
namespace {

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
    const bsq_packet packet{bytes.span().data(), bytes.span().size(), pts, duration, 0, 0, {}};
    const bsq_status status =
        call([&](bsq_decoder* decoder) { return bsq_decoder_send(decoder, &packet); });
    if (status == BSQ_AGAIN) {
      throw Error(BSQ_ERROR_ARGUMENT, "a frame waits: receive() it before the next send()");
    }
  }

  void flush() { call(bsq_decoder_flush); }

  std::optional<PyFrame> receive() {
    bsq_frame info{};
    // The library's samples are valid until its next call: the copy is made under the same lock,
    // into arrays that the lock's holder alone knows.
    FrameSamples samples;
    const bsq_status status = call([&](bsq_decoder* decoder) {
      const bsq_status got = bsq_decoder_receive(decoder, &info);
      if (got == BSQ_OK) samples.copy(info);
      return got;
    });
    if (status != BSQ_OK) return std::nullopt;
    return samples.frame(info);
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

  // Of the last layer, or None before the first frame and while frames are concealed.
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

  template <class Fn>
  bsq_status call(const Fn& fn) {
    return call_locked(
        mutex_, [&] { return fn(handle_.get()); },
        [&] { return bsq_decoder_error(handle_.get()); });
  }

  std::mutex mutex_;
  const bool keep_layers_;
  Handle<bsq_decoder> handle_;
};

}  // namespace

void bind_encoder(py::module_& m);

void bind_codec(py::module_& m) {
  bind_frame<PyFrame>(m, "Frame");
  bind_encoder(m);
  py::class_<PyDecoder> decoder(m, "Decoder", "send() packets, receive() frames until None.");
  bind_decoding(decoder);
  decoder
      .def(py::init<const std::vector<const PyModel*>&, int, int, bool, bool>(), py::arg("models"),
           py::kw_only(), py::arg("threads") = 0, py::arg("max_level") = kMaxLevel,
           py::arg("strict") = false, py::arg("keep_layers") = false)
      .def_property_readonly("tokens", &PyDecoder::tokens)
      .def_property_readonly("layer_tokens", &PyDecoder::layer_tokens);
}

}  // namespace bsq
