// Owners of the C API's handles.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "bsq/bsq.h"

namespace bsq {

struct CloseHandle {
  void operator()(bsq_model* model) const { bsq_model_free(model); }
  void operator()(bsq_encoder* encoder) const { bsq_encoder_close(encoder); }
  void operator()(bsq_decoder* decoder) const { bsq_decoder_close(decoder); }
};

template <class T>
using Handle = std::unique_ptr<T, CloseHandle>;

inline constexpr size_t kErrorSize = 1024;

// A model as Python holds it.
struct PyModel {
  Handle<bsq_model> handle;
  std::vector<uint8_t> file;  // for other libraries
};

}  // namespace bsq
