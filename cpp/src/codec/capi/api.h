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
  bsq::Encoder codec;
  std::string error;
};

struct bsq_decoder {
  bsq::Decoder codec;
  std::string error;
};

namespace bsq {

inline void require_argument(bool good, const char* message) {
  if (!good) throw Error(BSQ_ERROR_ARGUMENT, message);
}

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

// A `Handle` is an encoder or a decoder of the C API: it has a `codec` and an `error`.

// The same on a handle, which keeps the sentence.
template <class Handle, class Fn>
bsq_status call(Handle* handle, const Fn& fn) noexcept {
  if (handle == nullptr) return BSQ_ERROR_ARGUMENT;
  return guarded(handle->error, fn);
}

// Frames or packets into the codec; `missing` is the error where there is none.
template <class Handle, class Input>
bsq_status send(Handle* handle, const Input* input, const char* missing) noexcept {
  return call(handle, [&] {
    require_argument(input != nullptr, missing);
    return handle->codec.send(*input);
  });
}

template <class Handle>
bsq_status flush(Handle* handle) noexcept {
  return call(handle, [&] {
    handle->codec.flush();
    return BSQ_OK;
  });
}

// Packets or frames out of the codec.
template <class Handle, class Output>
bsq_status receive(Handle* handle, Output* output, const char* missing) noexcept {
  return call(handle, [&] {
    require_argument(output != nullptr, missing);
    return handle->codec.receive(*output);
  });
}

// What a getter of the encoder gives, into the caller's memory.
template <class Handle, class Value, class Getter>
bsq_status get(const Handle* handle, Value* value, const Getter& getter) {
  if (handle == nullptr || value == nullptr) return BSQ_ERROR_ARGUMENT;
  *value = (handle->codec.*getter)();
  return BSQ_OK;
}

// The sequence that the decoder has read, into the caller's memory.
template <class Handle>
bsq_status get_sequence(const Handle* handle, bsq_sequence* sequence) {
  if (handle == nullptr || sequence == nullptr) return BSQ_ERROR_ARGUMENT;
  const bsq_sequence* found = handle->codec.sequence();
  if (found == nullptr) return BSQ_AGAIN;
  *sequence = *found;
  return BSQ_OK;
}

// The header that the encoder writes, into the caller's memory.
template <class Handle>
bsq_status get_header(const Handle* handle, const uint8_t** data, size_t* size) {
  if (handle == nullptr || data == nullptr || size == nullptr) return BSQ_ERROR_ARGUMENT;
  *data = handle->codec.header().data();
  *size = handle->codec.header().size();
  return BSQ_OK;
}

}  // namespace bsq
