// A plane of samples on a device that Python hands over by DLPack.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>

#include "codec/common/geometry.h"
#include "dlpack.h"
#include "encoder_handle.h"

namespace bsq {

// Keeps the capsule, and so the samples, as long as it lives.
class DevicePlane {
 public:
  // Throws Error(BSQ_ERROR_ARGUMENT) unless `plane` is plane `index` of the sequence's frames on
  // the device of the encoder. Its samples are then valid in the order of the encoder's stream.
  DevicePlane(const pybind11::object& plane, size_t index, const bsq_sequence& sequence,
              const EncoderPlace& place)
      : name_("planes[" + std::to_string(index) + "]") {
    namespace py = pybind11;
    if (!py::hasattr(plane, "__dlpack__") || place.library == nullptr) {
      fail("must be on the encoder's CUDA device and speak DLPack");
    }
    capsule_ = exchange(plane, place);
    if (PyCapsule_IsValid(capsule_.ptr(), dlpack::kName) == 0) fail("gives no DLPack capsule");
    tensor_ =
        static_cast<dlpack::ManagedTensor*>(PyCapsule_GetPointer(capsule_.ptr(), dlpack::kName))
            ->tensor;
    check(index, sequence, place);
  }

  const void* data() const {
    return static_cast<const uint8_t*>(tensor_.data) + tensor_.byte_offset;
  }
  ptrdiff_t stride() const {
    const int64_t row = tensor_.strides == nullptr ? tensor_.shape[1] : tensor_.strides[0];
    return row * (tensor_.dtype.bits / 8);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(BSQ_ERROR_ARGUMENT, name_ + " " + what);
  }

  static pybind11::object exchange(const pybind11::object& plane, const EncoderPlace& place) {
    if (place.library->api().emulated != 0) return plane.attr("__dlpack__")();
    constexpr intptr_t kDefaultStream = 1;  // what DLPack calls CUDA's legacy one
    const auto stream = reinterpret_cast<intptr_t>(place.stream);
    return plane.attr("__dlpack__")(pybind11::arg("stream") =
                                        stream == 0 ? kDefaultStream : stream);
  }

  void check(size_t index, const bsq_sequence& sequence, const EncoderPlace& place) const {
    const bool emulated = place.library->api().emulated != 0;
    const dlpack::Device wanted{emulated ? dlpack::kCpu : dlpack::kCuda,
                                emulated ? 0 : place.device};
    if (tensor_.device.type != wanted.type || tensor_.device.id != wanted.id) {
      fail("is on another device than the encoder");
    }
    const int bits = sequence.bit_depth > 8 ? 16 : 8;
    const auto [width, height] = plane_size(sequence, static_cast<int>(index));
    const bool fits = tensor_.dtype.code == dlpack::kUnsigned && tensor_.dtype.bits == bits &&
                      tensor_.dtype.lanes == 1 && tensor_.ndim == 2 && tensor_.shape[0] == height &&
                      tensor_.shape[1] == width;
    if (!fits) {
      fail("must hold " + std::to_string(height) + "x" + std::to_string(width) +
           " unsigned values of " + std::to_string(bits) + " bits");
    }
    if (tensor_.strides != nullptr && tensor_.strides[1] != 1 && width > 1) {
      fail("must have its samples side by side in a row");
    }
  }

  const std::string name_;
  pybind11::object capsule_;
  dlpack::Tensor tensor_{};
};

}  // namespace bsq
