// Decoding of frames on a device, for the decoder of codec/decoder/decoder.h.
#pragma once

#include <cstddef>

#include "bsq/bsq.h"
#include "codec/decoder/frame_decoder.h"
#include "cuda/device.h"

namespace bsq::cuda {

// Where frames are shown: device memory of the caller, or with no planes the decoder's own.
struct Destination {
  void* planes[BSQ_MAX_PLANES] = {};
  ptrdiff_t strides[BSQ_MAX_PLANES] = {};
};

// Weights are copied to the device once for each model. Planes that the frames show are in the
// device's memory and valid in the order of its stream. `destination` is looked at whenever a
// frame is shown. All three must outlive the decoder that has the factory.
FrameDecoderFactory decode_on_device(Device& device, const Destination& destination);

}  // namespace bsq::cuda
