// C API: the encoder.
#include <algorithm>
#include <cstring>

#include "codec/capi/api.h"
#include "codec/encoder/setting_table.h"
#include "kernels/dispatch.h"

extern "C" {

void bsq_encoder_config_init(bsq_encoder_config* config) {
  if (config == nullptr) return;
  *config = bsq_encoder_config{};
  bsq_sequence& sequence = config->sequence;
  sequence.chroma = BSQ_CHROMA_420;
  sequence.bit_depth = 8;
  sequence.time_base = {1, 90000};
  sequence.frame_rate = {0, 1};
  sequence.sample_aspect = {0, 1};
  sequence.color_primaries = 2;
  sequence.color_transfer = 2;
  sequence.color_matrix = 2;
  sequence.full_range = 2;
  bsq::set_defaults(*config);
}

const bsq_setting* bsq_encoder_settings(size_t* count) {
  const auto settings = bsq::encoder_settings();
  if (count != nullptr) *count = settings.size();
  return settings.data();
}

bsq_status bsq_encoder_config_set(bsq_encoder_config* config, const char* name, const char* value,
                                  char* error, size_t error_size) {
  return bsq::guarded(error, error_size, [&] {
    bsq::require_argument(config != nullptr, "config is NULL");
    bsq::require_argument(name != nullptr && value != nullptr, "name or value is NULL");
    bsq::set_setting(*config, name, value);
    return BSQ_OK;
  });
}

bsq_status bsq_encoder_config_get(const bsq_encoder_config* config, const char* name, char* value,
                                  size_t value_size, char* error, size_t error_size) {
  return bsq::guarded(error, error_size, [&] {
    bsq::require_argument(config != nullptr, "config is NULL");
    bsq::require_argument(name != nullptr && value != nullptr, "name or value is NULL");
    const std::string text = bsq::setting_text(*config, name);
    bsq::require_argument(text.size() < value_size, "value_size is too small");
    std::copy_n(text.c_str(), text.size() + 1, value);
    return BSQ_OK;
  });
}

bsq_status bsq_encoder_open(const bsq_encoder_config* config, const bsq_model* model,
                            bsq_encoder** encoder, char* error, size_t error_size) {
  return bsq::guarded(error, error_size, [&] {
    bsq::require_argument(encoder != nullptr, "encoder is NULL");
    *encoder = nullptr;
    bsq::require_argument(config != nullptr, "config is NULL");
    bsq::require_argument(model != nullptr, "model is NULL");
    const bsq::KernelTable& kernels = bsq::current_kernels();
    *encoder = new bsq_encoder{{*config, model->model, kernels, bsq::encode_on_cpu(kernels)}, {}};
    return BSQ_OK;
  });
}

void bsq_encoder_close(bsq_encoder* encoder) { delete encoder; }

const char* bsq_encoder_error(const bsq_encoder* encoder) {
  return encoder == nullptr ? "encoder is NULL" : encoder->error.c_str();
}

bsq_status bsq_encoder_header(const bsq_encoder* encoder, const uint8_t** data, size_t* size) {
  return bsq::get_header(encoder, data, size);
}

bsq_status bsq_encoder_send(bsq_encoder* encoder, const bsq_frame* frame) {
  return bsq::send(encoder, frame, "frame is NULL");
}

bsq_status bsq_encoder_flush(bsq_encoder* encoder) { return bsq::flush(encoder); }

bsq_status bsq_encoder_receive(bsq_encoder* encoder, bsq_packet* packet) {
  return bsq::receive(encoder, packet, "packet is NULL");
}

bsq_status bsq_encoder_stats(const bsq_encoder* encoder, bsq_packet_stats* stats) {
  return bsq::get(encoder, stats, &bsq::Encoder::stats);
}

bsq_status bsq_encoder_pass_record(const bsq_encoder* encoder, bsq_pass_record* record) {
  return bsq::get(encoder, record, &bsq::Encoder::pass_record);
}

bsq_status bsq_encoder_rate(const bsq_encoder* encoder, bsq_rate_report* report) {
  return bsq::get(encoder, report, &bsq::Encoder::rate_report);
}

}  // extern "C"
