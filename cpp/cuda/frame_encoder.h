// Encoding of frames on a device, for the encoder of codec/encoder/encoder.h.
#pragma once

#include "codec/encoder/frame_encoder.h"
#include "cuda/device.h"

namespace bsq::cuda {

// Packets are those of the processor. Weights are copied to the device once for each model. The
// device must outlive the encoder that has the factory.
FrameEncoderFactory encode_on_device(Device& device);

}  // namespace bsq::cuda
