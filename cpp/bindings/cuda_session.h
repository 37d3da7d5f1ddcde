// The CUDA backend as bindings use it: the library's table, a decoder, memory of its device.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "bsq/bsq_cuda.h"

namespace bsq {

// The table of a library that was loaded, or of the emulation, which this extension holds.
class CudaLibrary {
 public:
  // `path` empty: the emulation. Throws Error(BSQ_ERROR_UNSUPPORTED) for a file that cannot be
  // loaded or has another interface.
  explicit CudaLibrary(const std::string& path);

  const bsq_cuda_api& api() const { return *api_; }

 private:
  // Never unloaded: a driver's threads may outlast all decoders.
  const bsq_cuda_api* api_ = nullptr;
};

// A decoder, and what keeps its device open: planes handed out may outlast the decoder's object.
class CudaSession {
 public:
  CudaSession(const bsq_cuda_api& api, bsq_cuda_decoder* decoder, int32_t device)
      : api_(api), decoder_(decoder), device_(device) {}
  ~CudaSession() { api_.decoder_close(decoder_); }
  CudaSession(const CudaSession&) = delete;
  CudaSession& operator=(const CudaSession&) = delete;

  const bsq_cuda_api& api() const { return api_; }
  int32_t device() const { return device_; }

  // fn(bsq_cuda_decoder*) under the lock; an error's message goes to `message`.
  template <class Fn>
  bsq_status call(std::string& message, const Fn& fn) {
    const std::lock_guard lock(mutex_);
    const bsq_status status = fn(decoder_);
    if (status < 0) message = api_.decoder_error(decoder_);
    return status;
  }

 private:
  const bsq_cuda_api& api_;
  bsq_cuda_decoder* const decoder_;
  const int32_t device_;
  std::mutex mutex_;
};

// A piece of the device's memory.
class CudaMemory {
 public:
  CudaMemory(std::shared_ptr<CudaSession> session, void* data)
      : session_(std::move(session)), data_(data) {}
  ~CudaMemory() {
    std::string ignored;
    session_->call(ignored, [&](bsq_cuda_decoder* decoder) {
      session_->api().release(decoder, data_);
      return BSQ_OK;
    });
  }
  CudaMemory(const CudaMemory&) = delete;
  CudaMemory& operator=(const CudaMemory&) = delete;

  CudaSession& session() const { return *session_; }
  void* data() const { return data_; }

 private:
  const std::shared_ptr<CudaSession> session_;
  void* const data_;
};

}  // namespace bsq
