// Single kernels of any kernel set on arrays of any size, for tests against the oracle.
//
// Outputs have room between their rows that must stay as it was.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>
#include <string>
#include <vector>

#include "arrays.h"
#include "cuda/emulated_kernels.h"
#include "kernels/dispatch.h"
#include "kernels/packed.h"
#include "network_arrays.h"

namespace py = pybind11;

namespace bsq {

void bind_kernels(py::module_& m);

namespace {

constexpr int kMaxInputs8 = 1024;
constexpr int kMaxInputs16 = 256;
constexpr int kTaps = 25;
constexpr int kBorder = 2;

// By name; besides the CPU's sets there is that of the CUDA backend's emulation.
const KernelTable& kernel_set(const std::string& name) {
  return name == cuda::kEmulatedKernels.name ? cuda::kEmulatedKernels : find_kernels(name);
}

// Throws where a set has no such kernel.
template <class Kernel>
Kernel require_kernel(Kernel kernel, const KernelTable& set) {
  if (kernel == nullptr) {
    throw Error(BSQ_ERROR_UNSUPPORTED, std::string(set.name) + " has no such kernel");
  }
  return kernel;
}

// Rows with three elements of canary between them and after the last.
template <class T>
class Guarded {
 public:
  Guarded(py::ssize_t rows, py::ssize_t width)
      : rows_(static_cast<size_t>(rows)),
        width_(static_cast<size_t>(width)),
        data_(rows_ * (width_ + kGap), kCanary) {}

  T* data() { return data_.data(); }
  ptrdiff_t stride() const { return static_cast<ptrdiff_t>(width_ + kGap); }

  void fill(const T* from) {
    for (size_t t = 0; t < rows_; ++t) {
      std::copy_n(from + t * width_, width_, data_.data() + t * (width_ + kGap));
    }
  }

  Array<T> take(std::vector<py::ssize_t> shape) const {
    auto array = make_array<T>(std::move(shape));
    for (size_t t = 0; t < rows_; ++t) {
      const T* row = data_.data() + t * (width_ + kGap);
      std::copy_n(row, width_, array.mutable_data() + t * width_);
      for (size_t i = 0; i < kGap; ++i) {
        if (row[width_ + i] != kCanary) {
          throw Error(BSQ_ERROR_STATE, "internal error: a kernel wrote past the end of a row");
        }
      }
    }
    return array;
  }

 private:
  static constexpr size_t kGap = 3;
  static constexpr T kCanary = 0x5A;
  size_t rows_;
  size_t width_;
  std::vector<T> data_;
};

// Arguments of a linear layer, kept alive; m and n are absent for raw sums.
struct LinearArguments {
  Array<int8_t> w;
  Array<int32_t> b;
  Array<int32_t> m;
  LinearSource source;

  LinearArguments(const py::object& w_in, const py::object& b_in, const py::object& m_in, int shift,
                  py::ssize_t inputs, int max_inputs)
      : w(require_array<int8_t>(w_in, "w", 2, 2)), b(require_array<int32_t>(b_in, "b", 1, 1)) {
    require_symmetric(w, "w");
    if (w.shape(1) != inputs || inputs < 8 || inputs % 8 != 0 || inputs > max_inputs) {
      fail_argument("w must have as many columns as x, a multiple of 8 of at most " +
                    std::to_string(max_inputs) + "; its shape is " + shape_text(w));
    }
    if (b.shape(0) != w.shape(0)) fail_argument("b must have one value per row of w");
    source = {
        static_cast<int>(w.shape(0)), static_cast<int>(inputs), w.data(), b.data(), nullptr, shift};
    if (m_in.is_none()) return;
    m = require_array<int32_t>(m_in, "m", 1, 1);
    if (m.shape(0) != w.shape(0)) fail_argument("m must have one value per row of w");
    source.m = m.data();
    require_rq(m, shift);
  }

  static void require_rq(const Array<int32_t>& m, int shift) {
    const std::span<const int32_t> values = span_of(m);
    if (shift < 32 || shift > 62 ||
        std::any_of(values.begin(), values.end(), [](int32_t v) { return v < 0; })) {
      fail_argument("multipliers must not be negative, shifts within 32..62");
    }
  }
};

// The table's 256 entries, or nullptr.
struct TableArgument {
  Array<int8_t> values;
  const int8_t* data = nullptr;

  explicit TableArgument(const py::object& value) {
    if (value.is_none()) return;
    values = require_array<int8_t>(value, "table", 1, 1);
    if (values.size() != 256) fail_argument("a table has 256 entries");
    data = values.data();
  }
};

template <class T>
Array<T> require_rows(const py::object& value) {
  const auto x = require_array<T>(value, "x", 2, 2);
  require_symmetric(x, "x");
  return x;
}

Array<int32_t> linear8(const std::string& set, const py::object& x_in, const py::object& w,
                       const py::object& b) {
  const KernelTable& kernels = kernel_set(set);
  const auto x = require_rows<int8_t>(x_in);
  const LinearArguments layer(w, b, py::none(), 32, x.shape(1), kMaxInputs8);
  const PackedLinear packed = kernels.pack_linear8(layer.source);
  Guarded<int32_t> out(x.shape(0), packed.n);
  require_kernel(kernels.linear8_s32, kernels)(
      packed.view(), x.data(), x.shape(1), static_cast<int>(x.shape(0)), out.data(), out.stride());
  return out.take({x.shape(0), packed.n});
}

Array<int8_t> linear8_rq8(const std::string& set, const py::object& x_in, const py::object& w,
                          const py::object& b, const py::object& m, int n,
                          const py::object& table_in) {
  const KernelTable& kernels = kernel_set(set);
  const auto x = require_rows<int8_t>(x_in);
  const LinearArguments layer(w, b, m, n, x.shape(1), kMaxInputs8);
  const TableArgument table(table_in);
  const PackedLinear packed = kernels.pack_linear8(layer.source);
  Guarded<int8_t> out(x.shape(0), packed.n);
  kernels.linear8_rq8(packed.view(), x.data(), x.shape(1), static_cast<int>(x.shape(0)), table.data,
                      out.data(), out.stride());
  return out.take({x.shape(0), packed.n});
}

// linear8_rq16 for int8 inputs, linear16_rq16 for int16; `add` is what the result is added to, or
// None.
template <class T>
Array<int16_t> linear_rq16(const std::string& set, const py::object& x_in, const py::object& w,
                           const py::object& b, const py::object& m, int n,
                           const py::object& add_in) {
  constexpr bool kWide = sizeof(T) == 2;
  const KernelTable& kernels = kernel_set(set);
  const auto x = require_rows<T>(x_in);
  const LinearArguments layer(w, b, m, n, x.shape(1), kWide ? kMaxInputs16 : kMaxInputs8);
  const PackedLinear packed = (kWide ? kernels.pack_linear16 : kernels.pack_linear8)(layer.source);
  Guarded<int16_t> out(x.shape(0), packed.n);
  if (!add_in.is_none()) {
    const auto add = require_array<int16_t>(add_in, "add", 2, 2);
    require_symmetric(add, "add");
    if (add.shape(0) != x.shape(0) || add.shape(1) != packed.n) {
      fail_argument("add must have the shape of the result");
    }
    out.fill(add.data());
  }
  const auto run = [&](const auto& kernel) {
    kernel(packed.view(), x.data(), x.shape(1), static_cast<int>(x.shape(0)), !add_in.is_none(),
           out.data(), out.stride());
  };
  if constexpr (kWide) {
    run(kernels.linear16_rq16);
  } else {
    run(kernels.linear8_rq16);
  }
  return out.take({x.shape(0), packed.n});
}

Array<int8_t> dwconv5(const std::string& set, const py::object& x_in, const py::object& w_in,
                      const py::object& b_in, const py::object& m_in, int n) {
  const KernelTable& kernels = kernel_set(set);
  const auto x = require_array<int8_t>(x_in, "x", 3, 3);
  require_symmetric(x, "x");
  const auto w = require_array<int8_t>(w_in, "w", 2, 2);
  require_symmetric(w, "w");
  const auto b = require_array<int32_t>(b_in, "b", 1, 1);
  const auto m = require_array<int32_t>(m_in, "m", 1, 1);
  LinearArguments::require_rq(m, n);
  const py::ssize_t channels = x.shape(2);
  const py::ssize_t height = x.shape(0) - 2 * kBorder;
  const py::ssize_t width = x.shape(1) - 2 * kBorder;
  if (channels < 8 || channels % 8 != 0 || height < 1 || width < 1 || w.shape(0) != kTaps ||
      w.shape(1) != channels || b.size() != channels || m.size() != channels) {
    fail_argument("dwconv5 takes x [H+4, W+4, C], w [25, C], b [C], m [C], C a multiple of 8");
  }
  const PackedDepthwise packed =
      kernels.pack_depthwise({static_cast<int>(channels), w.data(), b.data(), m.data(), n});
  Guarded<int8_t> out(height * width, channels);
  const ptrdiff_t row = x.shape(1) * channels;
  for (py::ssize_t y = 0; y < height; ++y) {
    kernels.dwconv5_rq8(packed.view(), x.data() + (y + kBorder) * row + kBorder * channels, row,
                        static_cast<int>(width), out.data() + y * width * out.stride(),
                        out.stride());
  }
  return out.take({height, width, channels});
}

Array<int8_t> requant8(const std::string& set, const py::object& x_in, const py::object& m_in,
                       int n, const py::object& table_in) {
  const KernelTable& kernels = kernel_set(set);
  const auto x = require_rows<int16_t>(x_in);
  const auto m = require_array<int32_t>(m_in, "m", 1, 1);
  LinearArguments::require_rq(m, n);
  const TableArgument table(table_in);
  if (m.size() != x.shape(1) || x.shape(1) < 8 || x.shape(1) % 8 != 0) {
    fail_argument("x must have a multiple of 8 columns, m one value for each");
  }
  const auto channels = static_cast<int>(x.shape(1));
  const PackedRequant packed = pack_requant(m.data(), channels, n);
  Guarded<int8_t> out(x.shape(0), channels);
  require_kernel(kernels.requant8, kernels)(packed.view(), channels, x.data(), channels,
                                            static_cast<int>(x.shape(0)), table.data, out.data(),
                                            out.stride());
  return out.take({x.shape(0), channels});
}

}  // namespace

void bind_kernels(py::module_& m) {
  const auto set = py::arg("kernels");
  const auto table = py::arg("table") = py::none();
  const auto add = py::arg("add") = py::none();
  m.def("kernel_linear8", &linear8, set, py::arg("x"), py::arg("w"), py::arg("b"),
        "Sums int32 [T, N] of int8 x [T, K], w [N, K], int32 b [N]; K a multiple of 8.");
  m.def("kernel_linear8_rq8", &linear8_rq8, set, py::arg("x"), py::arg("w"), py::arg("b"),
        py::arg("m"), py::arg("n"), table, "table(rq8(linear8(x))), int8 [T, N].");
  m.def("kernel_linear8_rq16", &linear_rq16<int8_t>, set, py::arg("x"), py::arg("w"), py::arg("b"),
        py::arg("m"), py::arg("n"), add, "add16(add, rq16(linear8(x))), int16 [T, N].");
  m.def("kernel_linear16_rq16", &linear_rq16<int16_t>, set, py::arg("x"), py::arg("w"),
        py::arg("b"), py::arg("m"), py::arg("n"), add, "The same with int16 x.");
  m.def("kernel_dwconv5", &dwconv5, set, py::arg("x"), py::arg("w"), py::arg("b"), py::arg("m"),
        py::arg("n"), "rq8(dwconv5(x)) int8 [H, W, C] of x [H + 4, W + 4, C] with its border.");
  m.def("kernel_requant8", &requant8, set, py::arg("x"), py::arg("m"), py::arg("n"), table,
        "table(rq8(x)) of int16 x [T, C].");
}

}  // namespace bsq
