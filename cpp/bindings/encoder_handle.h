// An encoder of libbsq or of the CUDA backend, behind the functions that both have.
#pragma once

#include <memory>

#include "cuda_session.h"
#include "handles.h"

namespace bsq {

class EncoderHandle {
 public:
  virtual ~EncoderHandle() = default;

  virtual const char* error() const = 0;
  virtual bsq_status header(const uint8_t** data, size_t* size) const = 0;
  virtual bsq_status send(const bsq_frame& frame) = 0;
  // Planes in the device's memory.
  virtual bsq_status send_device(const bsq_frame& frame) = 0;
  virtual bsq_status flush() = 0;
  virtual bsq_status receive(bsq_packet& packet) = 0;
  virtual bsq_status stats(bsq_packet_stats& stats) const = 0;
  virtual bsq_status pass_record(bsq_pass_record& record) const = 0;
  virtual bsq_status rate(bsq_rate_report& report) const = 0;
  // Of libbsq; throws Error(BSQ_ERROR_UNSUPPORTED) where the encoder is on a device.
  virtual bsq_encoder* processor() const = 0;
};

// Where an encoder works.
struct EncoderPlace {
  const CudaLibrary* library = nullptr;  // null: on the processor
  int device = 0;
  void* stream = nullptr;
};

// Throws Error as bsq_encoder_open() says.
std::unique_ptr<EncoderHandle> open_encoder(const bsq_encoder_config& config, const PyModel& model,
                                            const EncoderPlace& place);

}  // namespace bsq
