// What the C API's files share: the handles, and the step from exceptions to status codes.
#pragma once

#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "base/status.h"
#include "bsq/bsq.h"
#include "codec/decoder/decoder.h"
#include "codec/encoder/encoder.h"
#include "network/model.h"

struct bsq_model {
  std::shared_ptr<const bsq::Model> model;
};

struct bsq_encoder {
  bsq::Encoder encoder;
  std::string error;
};

struct bsq_decoder {
  bsq::Decoder decoder;
  std::string error;
};

namespace bsq {

// Runs fn() -> bsq_status; an exception becomes its status and `message` its sentence.
template <class Fn>
bsq_status guarded(std::string& message, const Fn& fn) noexcept {
  try {
    return fn();
  } catch (...) {
    return status_of_current_exception(&message);
  }
}

// The same for calls without a handle: the sentence goes into the caller's memory, cut to fit.
template <class Fn>
bsq_status guarded(char* error, size_t error_size, const Fn& fn) noexcept {
  std::string message;
  const bsq_status status = guarded(message, fn);
  if (error != nullptr && error_size > 0) {
    const size_t size = std::min(message.size(), error_size - 1);
    std::memcpy(error, message.data(), size);
    error[size] = '\0';
  }
  return status;
}

// The same on an encoder or a decoder, which keeps the sentence.
template <class Handle, class Fn>
bsq_status call(Handle* handle, const Fn& fn) noexcept {
  if (handle == nullptr) return BSQ_ERROR_ARGUMENT;
  return guarded(handle->error, fn);
}

// What a getter of the encoder gives, into the caller's memory.
template <class Handle, class Value, class Getter>
bsq_status get(const Handle* handle, Value* value, const Getter& getter) {
  if (handle == nullptr || value == nullptr) return BSQ_ERROR_ARGUMENT;
  *value = (handle->encoder.*getter)();
  return BSQ_OK;
}

// The sequence that the decoder has read, into the caller's memory.
template <class Handle>
bsq_status get_sequence(const Handle* handle, bsq_sequence* sequence) {
  if (handle == nullptr || sequence == nullptr) return BSQ_ERROR_ARGUMENT;
  const bsq_sequence* found = handle->decoder.sequence();
  if (found == nullptr) return BSQ_AGAIN;
  *sequence = *found;
  return BSQ_OK;
}

// The header that the encoder writes, into the caller's memory.
template <class Handle>
bsq_status get_header(const Handle* handle, const uint8_t** data, size_t* size) {
  if (handle == nullptr || data == nullptr || size == nullptr) return BSQ_ERROR_ARGUMENT;
  *data = handle->encoder.header().data();
  *size = handle->encoder.header().size();
  return BSQ_OK;
}

inline void require_argument(bool good, const char* message) {
  if (!good) throw Error(BSQ_ERROR_ARGUMENT, message);
}

}  // namespace bsq
