// The part of DLPack's C interface (version 0, dlpack.h) that planes of samples need.
#pragma once

#include <cstdint>

namespace bsq::dlpack {

constexpr int32_t kCpu = 1;                // kDLCPU
constexpr int32_t kCuda = 2;               // kDLCUDA
constexpr uint8_t kUnsigned = 1;           // kDLUInt
constexpr const char* kName = "dltensor";  // of a capsule, until a consumer has taken it

struct Device {
  int32_t type;
  int32_t id;
};

struct DataType {
  uint8_t code;
  uint8_t bits;
  uint16_t lanes;
};

struct Tensor {
  void* data;
  Device device;
  int32_t ndim;
  DataType dtype;
  int64_t* shape;
  int64_t* strides;  // in elements
  uint64_t byte_offset;
};

struct ManagedTensor {
  Tensor tensor;
  void* manager;
  void (*deleter)(ManagedTensor* self);
};

}  // namespace bsq::dlpack
