// The scalar kernels: docs/numerics.md section 2 as it stands, the oracle of all other sets.
#include "kernels/kernel_table.h"
#include "kernels/packed.h"

namespace bsq {
namespace {

constexpr int kTaps = 5;

int32_t clamp(int64_t value, int32_t limit) {
  if (value < -limit) return -limit;
  return value > limit ? limit : static_cast<int32_t>(value);
}

int64_t rq(int32_t sum, int32_t m, int shift) {
  return (static_cast<int64_t>(sum) * m + (int64_t{1} << (shift - 1))) >> shift;
}

int8_t rq8(int32_t sum, int32_t m, int shift) {
  return static_cast<int8_t>(clamp(rq(sum, m, shift), 127));
}

int16_t rq16(int32_t sum, int32_t m, int shift) {
  return static_cast<int16_t>(clamp(rq(sum, m, shift), 32767));
}

int8_t look_up(const int8_t* table, int8_t value) {
  return table != nullptr ? table[value + 128] : value;
}

template <class T>
int32_t dot(const LinearView& layer, int n, const T* x) {
  const int8_t* w = layer.w + static_cast<ptrdiff_t>(n) * layer.k;
  int32_t sum = layer.b[n];
  for (int k = 0; k < layer.k; ++k) sum += w[k] * x[k];
  return sum;
}

void store_rq16(const LinearView& layer, int n, int32_t sum, bool add, int16_t* out) {
  const int16_t y = rq16(sum, layer.m[n], layer.shift);
  out[n] = add ? static_cast<int16_t>(clamp(out[n] + y, 32767)) : y;
}

void linear8_s32(const LinearView& layer, const int8_t* x, ptrdiff_t x_stride, int rows,
                 int32_t* out, ptrdiff_t out_stride) {
  for (int t = 0; t < rows; ++t) {
    for (int n = 0; n < layer.n; ++n) {
      out[t * out_stride + n] = dot(layer, n, x + t * x_stride);
    }
  }
}

void linear8_rq8(const LinearView& layer, const int8_t* x, ptrdiff_t x_stride, int rows,
                 const int8_t* table, int8_t* out, ptrdiff_t out_stride) {
  for (int t = 0; t < rows; ++t) {
    for (int n = 0; n < layer.n; ++n) {
      const int32_t sum = dot(layer, n, x + t * x_stride);
      out[t * out_stride + n] = look_up(table, rq8(sum, layer.m[n], layer.shift));
    }
  }
}

void linear8_rq16(const LinearView& layer, const int8_t* x, ptrdiff_t x_stride, int rows, bool add,
                  int16_t* out, ptrdiff_t out_stride) {
  for (int t = 0; t < rows; ++t) {
    for (int n = 0; n < layer.n; ++n) {
      store_rq16(layer, n, dot(layer, n, x + t * x_stride), add, out + t * out_stride);
    }
  }
}

void linear16_rq16(const LinearView& layer, const int16_t* x, ptrdiff_t x_stride, int rows,
                   bool add, int16_t* out, ptrdiff_t out_stride) {
  for (int t = 0; t < rows; ++t) {
    for (int n = 0; n < layer.n; ++n) {
      store_rq16(layer, n, dot(layer, n, x + t * x_stride), add, out + t * out_stride);
    }
  }
}

void dwconv5_rq8(const DepthwiseView& layer, const int8_t* x, ptrdiff_t row_stride, int count,
                 int8_t* out, ptrdiff_t out_stride) {
  for (int t = 0; t < count; ++t) {
    for (int c = 0; c < layer.channels; ++c) {
      int32_t sum = layer.b[c];
      for (int i = 0; i < kTaps; ++i) {
        for (int j = 0; j < kTaps; ++j) {
          const ptrdiff_t token = static_cast<ptrdiff_t>(t + j - 2) * layer.channels;
          sum +=
              layer.w[(i * kTaps + j) * layer.channels + c] * x[(i - 2) * row_stride + token + c];
        }
      }
      out[t * out_stride + c] = rq8(sum, layer.m[c], layer.shift);
    }
  }
}

void requant8(const RequantView& requant, int channels, const int16_t* x, ptrdiff_t x_stride,
              int rows, const int8_t* table, int8_t* out, ptrdiff_t out_stride) {
  for (int t = 0; t < rows; ++t) {
    for (int c = 0; c < channels; ++c) {
      const int8_t value = rq8(x[t * x_stride + c], requant.m[c], requant.shift);
      out[t * out_stride + c] = look_up(table, value);
    }
  }
}

}  // namespace

const KernelTable kKernelsScalar = BSQ_KERNEL_TABLE(
    "scalar", pack_linear_scalar, pack_linear_scalar, pack_depthwise_scalar, nullptr);

}  // namespace bsq
