// Encoders of libbsq and of the CUDA backend.
#include "encoder_handle.h"

#include "errors.h"

namespace bsq {
namespace {

class ProcessorEncoder : public EncoderHandle {
 public:
  ProcessorEncoder(const bsq_encoder_config& config, const PyModel& model) {
    char message[kErrorSize] = "";
    bsq_encoder* encoder = nullptr;
    check(bsq_encoder_open(&config, model.handle.get(), &encoder, message, sizeof message),
          message);
    handle_.reset(encoder);
  }

  const char* error() const override { return bsq_encoder_error(handle_.get()); }
  bsq_status header(const uint8_t** data, size_t* size) const override {
    return bsq_encoder_header(handle_.get(), data, size);
  }
  bsq_status send(const bsq_frame& frame) override {
    return bsq_encoder_send(handle_.get(), &frame);
  }
  bsq_status send_device(const bsq_frame&) override {
    throw Error(BSQ_ERROR_ARGUMENT, "this encoder has no device that planes could be on");
  }
  bsq_status flush() override { return bsq_encoder_flush(handle_.get()); }
  bsq_status receive(bsq_packet& packet) override {
    return bsq_encoder_receive(handle_.get(), &packet);
  }
  bsq_status stats(bsq_packet_stats& stats) const override {
    return bsq_encoder_stats(handle_.get(), &stats);
  }
  bsq_status pass_record(bsq_pass_record& record) const override {
    return bsq_encoder_pass_record(handle_.get(), &record);
  }
  bsq_status rate(bsq_rate_report& report) const override {
    return bsq_encoder_rate(handle_.get(), &report);
  }
  bsq_encoder* processor() const override { return handle_.get(); }

 private:
  Handle<bsq_encoder> handle_;
};

class CudaEncoder : public EncoderHandle {
 public:
  CudaEncoder(const bsq_encoder_config& settings, const PyModel& model, const EncoderPlace& place)
      : api_(place.library->api()) {
    bsq_cuda_config config;
    api_.config_init(&config);
    config.device = place.device;
    config.stream = place.stream;
    const bsq_cuda_model file{model.file.data(), model.file.size()};
    char message[kErrorSize] = "";
    check(api_.encoder_open(&config, &settings, &file, &encoder_, message, sizeof message),
          message);
  }
  ~CudaEncoder() override { api_.encoder_close(encoder_); }
  CudaEncoder(const CudaEncoder&) = delete;
  CudaEncoder& operator=(const CudaEncoder&) = delete;

  const char* error() const override { return api_.encoder_error(encoder_); }
  bsq_status header(const uint8_t** data, size_t* size) const override {
    return api_.encoder_header(encoder_, data, size);
  }
  bsq_status send(const bsq_frame& frame) override { return api_.encoder_send(encoder_, &frame); }
  bsq_status send_device(const bsq_frame& frame) override {
    return api_.encoder_send_device(encoder_, &frame);
  }
  bsq_status flush() override { return api_.encoder_flush(encoder_); }
  bsq_status receive(bsq_packet& packet) override {
    return api_.encoder_receive(encoder_, &packet);
  }
  bsq_status stats(bsq_packet_stats& stats) const override {
    return api_.encoder_stats(encoder_, &stats);
  }
  bsq_status pass_record(bsq_pass_record& record) const override {
    return api_.encoder_pass_record(encoder_, &record);
  }
  bsq_status rate(bsq_rate_report& report) const override {
    return api_.encoder_rate(encoder_, &report);
  }
  bsq_encoder* processor() const override {
    throw Error(BSQ_ERROR_UNSUPPORTED, "this is not to be had on a device: encode without one");
  }

 private:
  const bsq_cuda_api& api_;
  bsq_cuda_encoder* encoder_ = nullptr;
};

}  // namespace

std::unique_ptr<EncoderHandle> open_encoder(const bsq_encoder_config& config, const PyModel& model,
                                            const EncoderPlace& place) {
  if (place.library == nullptr) return std::make_unique<ProcessorEncoder>(config, model);
  return std::make_unique<CudaEncoder>(config, model, place);
}

}  // namespace bsq
