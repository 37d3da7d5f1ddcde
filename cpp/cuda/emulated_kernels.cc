// Single layers through the kernels of the device, on the emulation.
#include "cuda/emulated_kernels.h"

#include <cstring>
#include <vector>

#include "cuda/open_device.h"
#include "cuda/weights.h"
#include "kernels/packed.h"

namespace bsq::cuda {
namespace {

// Arrays of the emulated device that live through one call.
class Arrays {
 public:
  Arrays() : device_(open_device(0, nullptr)) {}

  Device& device() { return *device_; }

  // [rows, columns] with rows of `pitch` elements, and whole tiles of them; `from` may be null.
  template <class T>
  T* make(const T* from, int rows, int columns, ptrdiff_t stride, int pitch) {
    constexpr int kTile = LinearKernel::kTile;
    const auto padded_rows = static_cast<size_t>((rows + kTile - 1) / kTile * kTile);
    DeviceArray<int8_t>& memory =
        arrays_.emplace_back(*device_, (padded_rows * static_cast<size_t>(pitch) + 1) * sizeof(T));
    T* to = reinterpret_cast<T*>(memory.data());
    for (ptrdiff_t row = 0; row < rows && from != nullptr; ++row) {
      std::memcpy(to + row * pitch, from + row * stride, static_cast<size_t>(columns) * sizeof(T));
    }
    return to;
  }

 private:
  std::unique_ptr<Device> device_;
  std::vector<DeviceArray<int8_t>> arrays_;
};

// The kernel of a layer whose weights are packed as the model file has them.
LinearKernel make_kernel(Arrays& arrays, const LinearView& layer, const int8_t* x, int rows) {
  const int k = padded(layer.k);
  const int8_t* w = arrays.make(layer.w, layer.n, layer.k, layer.k, k);
  return linear_kernel({w, layer.b, layer.m, layer.n, k, layer.shift}, x, rows);
}

template <class T>
void copy_rows(const T* from, ptrdiff_t pitch, int rows, int columns, T* to, ptrdiff_t stride) {
  for (ptrdiff_t row = 0; row < rows; ++row) {
    std::memcpy(to + row * stride, from + row * pitch, static_cast<size_t>(columns) * sizeof(T));
  }
}

void linear8_rq8(const LinearView& layer, const int8_t* x, ptrdiff_t x_stride, int rows,
                 const int8_t* table, int8_t* out, ptrdiff_t out_stride) {
  Arrays arrays;
  const int8_t* input = arrays.make(x, rows, layer.k, x_stride, padded(layer.k));
  LinearKernel kernel = make_kernel(arrays, layer, input, rows);
  kernel.table = table;
  kernel.out8 = out;
  kernel.out8_pitch = static_cast<int>(out_stride);
  arrays.device().launch(kernel);
}

void run_rq16(Arrays& arrays, LinearKernel kernel, bool add, int16_t* out, ptrdiff_t out_stride) {
  kernel.wide = true;
  kernel.added = add ? out : nullptr;
  kernel.added_pitch = static_cast<int>(out_stride);
  kernel.out16 = out;
  kernel.out16_pitch = static_cast<int>(out_stride);
  arrays.device().launch(kernel);
}

void linear8_rq16(const LinearView& layer, const int8_t* x, ptrdiff_t x_stride, int rows, bool add,
                  int16_t* out, ptrdiff_t out_stride) {
  Arrays arrays;
  const int8_t* input = arrays.make(x, rows, layer.k, x_stride, padded(layer.k));
  run_rq16(arrays, make_kernel(arrays, layer, input, rows), add, out, out_stride);
}

void linear16_rq16(const LinearView& layer, const int16_t* x, ptrdiff_t x_stride, int rows,
                   bool add, int16_t* out, ptrdiff_t out_stride) {
  Arrays arrays;
  const int k = padded(layer.k);
  int8_t* input = arrays.make<int8_t>(nullptr, rows, 0, 0, 2 * k);
  for (ptrdiff_t row = 0; row < rows; ++row) {
    for (ptrdiff_t i = 0; i < layer.k; ++i) {
      const int16_t value = x[row * x_stride + i];
      input[row * 2 * k + i] = static_cast<int8_t>(value >> 8);
      input[row * 2 * k + k + i] = static_cast<int8_t>(value & 0xFF);
    }
  }
  LinearKernel kernel = make_kernel(arrays, layer, input, rows);
  kernel.split = true;
  run_rq16(arrays, kernel, add, out, out_stride);
}

// The neighbours of one row, as the middle row of a frame of five.
void dwconv5_rq8(const DepthwiseView& layer, const int8_t* x, ptrdiff_t row_stride, int count,
                 int8_t* out, ptrdiff_t out_stride) {
  if (count == 0) return;
  Arrays arrays;
  const int width = count + 4;
  const int pitch = padded(layer.channels);
  int8_t* input = arrays.make<int8_t>(nullptr, 5 * width, 0, 0, pitch);
  auto* index = arrays.make<int32_t>(nullptr, 1, 0, 0, 5 * width);
  auto* positions = arrays.make<Position>(nullptr, 1, 0, 0, count);
  for (int y = 0; y < 5; ++y) {
    copy_rows(x + (y - 2) * row_stride - 2 * layer.channels, layer.channels, width, layer.channels,
              input + static_cast<ptrdiff_t>(y) * width * pitch, pitch);
  }
  for (int i = 0; i < 5 * width; ++i) index[i] = i;
  for (int i = 0; i < count; ++i) positions[i] = {2, static_cast<int16_t>(i + 2)};
  int8_t* result = arrays.make<int8_t>(nullptr, count, 0, 0, pitch);
  const DepthwiseKernel kernel{input,   pitch,   count,          nullptr,     positions,
                               index,   nullptr, width,          5,           layer.w,
                               layer.b, layer.m, layer.channels, layer.shift, result};
  arrays.device().launch(kernel);
  copy_rows(result, pitch, count, layer.channels, out, out_stride);
}

}  // namespace

const KernelTable kEmulatedKernels = {
    .name = "cuda-emulated",
    .pack_linear8 = pack_linear_scalar,
    .pack_linear16 = pack_linear_scalar,
    .pack_depthwise = pack_depthwise_scalar,
    .linear8_s32 = nullptr,
    .linear8_rq8 = linear8_rq8,
    .linear8_rq16 = linear8_rq16,
    .linear16_rq16 = linear16_rq16,
    .dwconv5_rq8 = dwconv5_rq8,
    .requant8 = nullptr,
    .peak = nullptr,
};

}  // namespace bsq::cuda
