// C API: the decoder.
#include <vector>

#include "codec/capi/api.h"
#include "kernels/dispatch.h"

extern "C" {

void bsq_decoder_config_init(bsq_decoder_config* config) {
  if (config == nullptr) return;
  *config = bsq_decoder_config{};
  config->max_level = bsq::kMaxLevel;
}

bsq_status bsq_decoder_open(const bsq_decoder_config* config, const bsq_model* const* models,
                            size_t model_count, bsq_decoder** decoder, char* error,
                            size_t error_size) {
  return bsq::guarded(error, error_size, [&] {
    bsq::require_argument(decoder != nullptr, "decoder is NULL");
    *decoder = nullptr;
    bsq::require_argument(config != nullptr, "config is NULL");
    bsq::require_argument(models != nullptr || model_count == 0, "models is NULL");
    std::vector<std::shared_ptr<const bsq::Model>> kept;
    for (size_t i = 0; i < model_count; ++i) {
      bsq::require_argument(models[i] != nullptr, "a model is NULL");
      kept.push_back(models[i]->model);
    }
    const bsq::KernelTable& kernels = bsq::current_kernels();
    *decoder = new bsq_decoder{{*config, std::move(kept), bsq::decode_on_cpu(kernels)}, {}};
    bsq::Log{*config}(BSQ_LOG_DEBUG, std::string("kernels ") + kernels.name);
    return BSQ_OK;
  });
}

void bsq_decoder_close(bsq_decoder* decoder) { delete decoder; }

const char* bsq_decoder_error(const bsq_decoder* decoder) {
  return decoder == nullptr ? "decoder is NULL" : decoder->error.c_str();
}

bsq_status bsq_decoder_send(bsq_decoder* decoder, const bsq_packet* packet) {
  return bsq::send(decoder, packet, "packet is NULL");
}

bsq_status bsq_decoder_flush(bsq_decoder* decoder) { return bsq::flush(decoder); }

bsq_status bsq_decoder_receive(bsq_decoder* decoder, bsq_frame* frame) {
  return bsq::receive(decoder, frame, "frame is NULL");
}

void bsq_decoder_reset(bsq_decoder* decoder) {
  if (decoder != nullptr) decoder->codec.reset();
}

bsq_status bsq_decoder_sequence(const bsq_decoder* decoder, bsq_sequence* sequence) {
  return bsq::get_sequence(decoder, sequence);
}

bsq_status bsq_decoder_tokens(const bsq_decoder* decoder, int32_t layer, bsq_tokens* tokens) {
  if (decoder == nullptr || tokens == nullptr) return BSQ_ERROR_ARGUMENT;
  const std::span<const bsq::TokenField> layers = decoder->codec.tokens();
  if (layers.empty()) return BSQ_AGAIN;
  const auto count = static_cast<int64_t>(layers.size());
  const int64_t index = layer < 0 ? layer + count : layer;
  if (index < 0 || index >= count) return BSQ_ERROR_ARGUMENT;
  const bsq::TokenField& found = layers[static_cast<size_t>(index)];
  *tokens = {found.width,         found.height,      found.max_stages,
             found.stages.data(), found.bits.data(), {}};
  return BSQ_OK;
}

}  // extern "C"
