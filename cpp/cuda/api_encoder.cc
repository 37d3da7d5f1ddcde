// The encoder's part of the C table of the backend: bsq/bsq_cuda.h.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "codec/capi/api.h"
#include "codec/common/frame_io.h"
#include "codec/common/reserved.h"
#include "cuda/api_table.h"
#include "cuda/frame_encoder.h"
#include "cuda/open_device.h"
#include "kernels/dispatch.h"

// The order of the members is that of their making: an encoder lives on its device.
struct bsq_cuda_encoder {
  std::shared_ptr<bsq::cuda::Device> device;
  bsq_sequence sequence;
  bsq::Encoder codec;
  std::vector<uint8_t> samples[BSQ_MAX_PLANES];
  std::string error;

  bsq_cuda_encoder(std::shared_ptr<bsq::cuda::Device> opened, const bsq_encoder_config& settings,
                   const std::shared_ptr<const bsq::Model>& model)
      : device(std::move(opened)),
        sequence(settings.sequence),
        codec(settings, model, bsq::current_kernels(), bsq::cuda::encode_on_device(*device)) {}
};

namespace bsq::cuda {
namespace {

bsq_status encoder_open(const bsq_cuda_config* config, const bsq_encoder_config* settings,
                        const bsq_cuda_model* model, bsq_cuda_encoder** encoder, char* error,
                        size_t error_size) {
  return guarded(error, error_size, [&] {
    require_argument(encoder != nullptr, "encoder is NULL");
    *encoder = nullptr;
    require_argument(config != nullptr && settings != nullptr, "config or settings are NULL");
    require_unreserved(*config, "config");
    require_argument(model != nullptr && model->data != nullptr, "the model is NULL");
    const std::shared_ptr<const Model> loaded = Model::load({model->data, model->size});
    *encoder = new bsq_cuda_encoder(open_device(config->device, config->stream), *settings, loaded);
    return BSQ_OK;
  });
}

void encoder_close(bsq_cuda_encoder* encoder) { delete encoder; }

const char* encoder_error(const bsq_cuda_encoder* encoder) {
  return encoder == nullptr ? "encoder is NULL" : encoder->error.c_str();
}

bsq_status encoder_header(const bsq_cuda_encoder* encoder, const uint8_t** data, size_t* size) {
  return get_header(encoder, data, size);
}

bsq_status encoder_send(bsq_cuda_encoder* encoder, const bsq_frame* frame) {
  return send(encoder, frame, "frame is NULL");
}

// The planes of a frame in the device's memory, copied to the host.
bsq_frame fetch_frame(bsq_cuda_encoder& encoder, const bsq_frame& frame) {
  check_frame(frame, encoder.sequence);
  bsq_frame fetched = frame;
  const ptrdiff_t bytes = frame.bit_depth > 8 ? 2 : 1;
  for (int p = 0; p < plane_count(encoder.sequence); ++p) {
    const auto [width, height] = plane_size(frame, p);
    const ptrdiff_t row = width * bytes;
    const std::string name = "plane " + std::to_string(p);
    require_argument(frame.planes[p] != nullptr, (name + " is NULL").c_str());
    require_argument(frame.strides[p] >= row, ("the rows of " + name + " overlap").c_str());
    std::vector<uint8_t>& samples = encoder.samples[p];
    samples.resize(static_cast<size_t>(frame.strides[p] * (height - 1) + row));
    encoder.device->download(samples.data(), frame.planes[p], samples.size());
    fetched.planes[p] = samples.data();
  }
  encoder.device->wait();
  return fetched;
}

bsq_status encoder_send_device(bsq_cuda_encoder* encoder, const bsq_frame* frame) {
  return call(encoder, [&] {
    require_argument(frame != nullptr, "frame is NULL");
    return encoder->codec.send(fetch_frame(*encoder, *frame));
  });
}

bsq_status encoder_flush(bsq_cuda_encoder* encoder) { return flush(encoder); }

bsq_status encoder_receive(bsq_cuda_encoder* encoder, bsq_packet* packet) {
  return receive(encoder, packet, "packet is NULL");
}

bsq_status encoder_stats(const bsq_cuda_encoder* encoder, bsq_packet_stats* stats) {
  return get(encoder, stats, &Encoder::stats);
}

bsq_status encoder_pass_record(const bsq_cuda_encoder* encoder, bsq_pass_record* record) {
  return get(encoder, record, &Encoder::pass_record);
}

bsq_status encoder_rate(const bsq_cuda_encoder* encoder, bsq_rate_report* report) {
  return get(encoder, report, &Encoder::rate_report);
}

}  // namespace

void add_encoder(bsq_cuda_api& api) {
  api.encoder_open = encoder_open;
  api.encoder_close = encoder_close;
  api.encoder_error = encoder_error;
  api.encoder_header = encoder_header;
  api.encoder_send = encoder_send;
  api.encoder_send_device = encoder_send_device;
  api.encoder_flush = encoder_flush;
  api.encoder_receive = encoder_receive;
  api.encoder_stats = encoder_stats;
  api.encoder_pass_record = encoder_pass_record;
  api.encoder_rate = encoder_rate;
}

}  // namespace bsq::cuda
