// The devices of a library: those of CUDA (device_cuda.cu), or emulated ones
// (device_emulation.cc). One of the two is linked.
#pragma once

#include <cstdint>
#include <memory>

#include "cuda/device.h"

namespace bsq::cuda {

bool devices_are_emulated();

// Devices that open_device() can open; 0 without a driver.
int32_t device_count();

// All work goes to `stream`, a cudaStream_t of that device (null: the default stream), which must
// outlive the result. Throws Error: BSQ_ERROR_UNSUPPORTED where there is no driver or the device is
// older than compute capability 8.0, BSQ_ERROR_ARGUMENT where there is no such device.
std::unique_ptr<Device> open_device(int32_t ordinal, void* stream);

}  // namespace bsq::cuda
