// The C table of the backend: bsq/bsq_cuda.h.
#include "codec/capi/api.h"

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "bsq/bsq_cuda.h"
#include "codec/common/reserved.h"
#include "cuda/api_table.h"
#include "cuda/frame_decoder.h"
#include "cuda/open_device.h"

// The order of the members is that of their making: a decoder lives on its device.
struct bsq_cuda_decoder {
  std::shared_ptr<bsq::cuda::Device> device;
  bsq::cuda::Destination destination;
  bsq::Decoder codec;
  std::vector<uint8_t> samples[BSQ_MAX_PLANES];
  std::string error;

  bsq_cuda_decoder(std::shared_ptr<bsq::cuda::Device> opened, const bsq_decoder_config& config,
                   std::vector<std::shared_ptr<const bsq::Model>> models)
      : device(std::move(opened)),
        codec(config, std::move(models), bsq::cuda::decode_on_device(*device, destination)) {}
};

namespace {

using bsq::call;
using bsq::guarded;
using bsq::require_argument;

int32_t device_count() { return bsq::cuda::device_count(); }

void config_init(bsq_cuda_config* config) {
  if (config == nullptr) return;
  *config = bsq_cuda_config{};
  config->max_level = bsq::kMaxLevel;
}

bsq_status decoder_open(const bsq_cuda_config* config, const bsq_cuda_model* models,
                        size_t model_count, bsq_cuda_decoder** decoder, char* error,
                        size_t error_size) {
  return guarded(error, error_size, [&] {
    require_argument(decoder != nullptr, "decoder is NULL");
    *decoder = nullptr;
    require_argument(config != nullptr, "config is NULL");
    bsq::require_unreserved(*config, "config");
    require_argument(models != nullptr || model_count == 0, "models is NULL");
    std::vector<std::shared_ptr<const bsq::Model>> loaded;
    for (size_t i = 0; i < model_count; ++i) {
      require_argument(models[i].data != nullptr, "a model is NULL");
      loaded.push_back(bsq::Model::load({models[i].data, models[i].size}));
    }
    bsq_decoder_config settings{};
    settings.threads = config->threads;
    settings.max_level = config->max_level;
    settings.strict = config->strict;
    settings.log = config->log;
    settings.log_opaque = config->log_opaque;
    *decoder = new bsq_cuda_decoder(bsq::cuda::open_device(config->device, config->stream),
                                    settings, std::move(loaded));
    return BSQ_OK;
  });
}

void decoder_close(bsq_cuda_decoder* decoder) { delete decoder; }

const char* decoder_error(const bsq_cuda_decoder* decoder) {
  return decoder == nullptr ? "decoder is NULL" : decoder->error.c_str();
}

bsq_status decoder_send(bsq_cuda_decoder* decoder, const bsq_packet* packet) {
  return bsq::send(decoder, packet, "packet is NULL");
}

bsq_status decoder_flush(bsq_cuda_decoder* decoder) { return bsq::flush(decoder); }

void decoder_reset(bsq_cuda_decoder* decoder) {
  if (decoder != nullptr) decoder->codec.reset();
}

bsq_status decoder_sequence(const bsq_cuda_decoder* decoder, bsq_sequence* sequence) {
  return bsq::get_sequence(decoder, sequence);
}

bsq_status decoder_receive(bsq_cuda_decoder* decoder, bsq_frame* frame) {
  return call(decoder, [&] {
    require_argument(frame != nullptr, "frame is NULL");
    decoder->destination = {};
    return decoder->codec.receive(*frame);
  });
}

bsq_status decoder_receive_into(bsq_cuda_decoder* decoder, void* const planes[BSQ_MAX_PLANES],
                                const ptrdiff_t strides[BSQ_MAX_PLANES], bsq_frame* frame) {
  return call(decoder, [&] {
    require_argument(frame != nullptr, "frame is NULL");
    require_argument(planes != nullptr && strides != nullptr, "planes or strides are NULL");
    require_argument(planes[0] != nullptr, "plane 0 is NULL");
    std::copy_n(planes, BSQ_MAX_PLANES, decoder->destination.planes);
    std::copy_n(strides, BSQ_MAX_PLANES, decoder->destination.strides);
    return decoder->codec.receive(*frame);
  });
}

bsq_status decoder_receive_host(bsq_cuda_decoder* decoder, bsq_frame* frame) {
  return call(decoder, [&] {
    require_argument(frame != nullptr, "frame is NULL");
    decoder->destination = {};
    const bsq_status status = decoder->codec.receive(*frame);
    if (status != BSQ_OK) return status;
    for (int p = 0; p < BSQ_MAX_PLANES && frame->planes[p] != nullptr; ++p) {
      std::vector<uint8_t>& samples = decoder->samples[p];
      const int32_t height = bsq::plane_size(*frame, p).height;
      samples.resize(static_cast<size_t>(frame->strides[p]) * static_cast<size_t>(height));
      decoder->device->download(samples.data(), frame->planes[p], samples.size());
      frame->planes[p] = samples.data();
    }
    decoder->device->wait();
    return status;
  });
}

bsq_status decoder_wait(bsq_cuda_decoder* decoder) {
  return call(decoder, [&] {
    decoder->device->wait();
    return BSQ_OK;
  });
}

void* allocate(bsq_cuda_decoder* decoder, size_t bytes) {
  void* memory = nullptr;
  call(decoder, [&] {
    memory = decoder->device->allocate(bytes);
    return BSQ_OK;
  });
  return memory;
}

void release(bsq_cuda_decoder* decoder, void* memory) {
  if (decoder != nullptr && memory != nullptr) decoder->device->release(memory);
}

bsq_cuda_api make_table() {
  bsq_cuda_api api{};
  api.abi = BSQ_CUDA_ABI;
  api.emulated = bsq::cuda::devices_are_emulated() ? 1 : 0;
  api.version = bsq_version();
  api.device_count = device_count;
  api.config_init = config_init;
  api.decoder_open = decoder_open;
  api.decoder_close = decoder_close;
  api.decoder_error = decoder_error;
  api.decoder_send = decoder_send;
  api.decoder_flush = decoder_flush;
  api.decoder_reset = decoder_reset;
  api.decoder_sequence = decoder_sequence;
  api.decoder_receive = decoder_receive;
  api.decoder_receive_into = decoder_receive_into;
  api.decoder_receive_host = decoder_receive_host;
  api.decoder_wait = decoder_wait;
  api.allocate = allocate;
  api.release = release;
  bsq::cuda::add_encoder(api);
  return api;
}

}  // namespace

extern "C" const bsq_cuda_api* bsq_cuda_get_api(uint32_t abi) {
  static const bsq_cuda_api api = make_table();
  return abi == BSQ_CUDA_ABI ? &api : nullptr;
}
