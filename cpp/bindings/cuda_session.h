// The CUDA backend as bindings use it: the library's table, a decoder, memory of its device.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
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
  ~CudaSession() {
    for (const Piece& piece : free_) api_.release(decoder_, piece.data);
    api_.decoder_close(decoder_);
  }
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

  // Memory of the device for a frame, or null; given back it serves for later ones.
  void* take(size_t bytes) {
    const std::lock_guard lock(mutex_);
    for (size_t i = 0; i < free_.size(); ++i) {
      if (free_[i].bytes != bytes) continue;
      void* data = free_[i].data;
      free_.erase(free_.begin() + static_cast<ptrdiff_t>(i));
      return data;
    }
    return api_.allocate(decoder_, bytes);
  }
  void give_back(void* data, size_t bytes) {
    const std::lock_guard lock(mutex_);
    if (free_.size() < kMaxFree) {
      free_.push_back({data, bytes});
    } else {
      api_.release(decoder_, data);
    }
  }

 private:
  struct Piece {
    void* data;
    size_t bytes;
  };
  static constexpr size_t kMaxFree = 8;

  const bsq_cuda_api& api_;
  bsq_cuda_decoder* const decoder_;
  const int32_t device_;
  std::mutex mutex_;
  std::vector<Piece> free_;
};

// Memory of one frame.
class CudaMemory {
 public:
  // Throws Error(BSQ_ERROR_MEMORY).
  CudaMemory(std::shared_ptr<CudaSession> session, size_t bytes)
      : session_(std::move(session)), bytes_(bytes), data_(session_->take(bytes)) {
    if (data_ == nullptr) {
      throw Error(BSQ_ERROR_MEMORY, "the device has no memory left for a frame");
    }
  }
  ~CudaMemory() { session_->give_back(data_, bytes_); }
  CudaMemory(const CudaMemory&) = delete;
  CudaMemory& operator=(const CudaMemory&) = delete;

  CudaSession& session() const { return *session_; }
  void* data() const { return data_; }

 private:
  const std::shared_ptr<CudaSession> session_;
  const size_t bytes_;
  void* const data_;
};

}  // namespace bsq
