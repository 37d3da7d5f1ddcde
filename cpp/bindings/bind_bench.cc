// What `bsqav bench` asks of the library: section totals, and times of kernels and networks that no
// conversion of arrays gets into.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "base/section_clock.h"
#include "codec/capi/api.h"
#include "handles.h"
#include "kernels/dispatch.h"
#include "kernels/packed.h"
#include "network/layers.h"
#include "network/tokenizer.h"
#include "network_arrays.h"

namespace py = pybind11;

namespace bsq {

void bind_bench(py::module_& m);

namespace {

constexpr int kMaxRows = 1 << 20;
constexpr int kMaxChannels = 1024;
constexpr int kMaxRepeats = 1 << 20;
constexpr int kMaxSide = 1024;  // tokens

void require_range(int value, int low, int high, const char* name) {
  if (value >= low && value <= high) return;
  fail_argument(std::string(name) + " is " + std::to_string(value) + "; it must be " +
                std::to_string(low) + " to " + std::to_string(high));
}

// Seconds of each of `repeats` calls, without the GIL.
template <class Fn>
std::vector<double> time_calls(int repeats, const Fn& fn) {
  require_range(repeats, 1, kMaxRepeats, "repeats");
  const py::gil_scoped_release release;
  std::vector<double> seconds;
  for (int i = 0; i < repeats; ++i) {
    const auto began = std::chrono::steady_clock::now();
    fn();
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - began;
    seconds.push_back(time.count());
  }
  return seconds;
}

// Values from -limit to limit that look like noise.
template <class T>
std::vector<T> noise(size_t count, int limit) {
  std::vector<T> values(count);
  uint32_t state = 1;
  for (T& value : values) {
    state = state * 1664525U + 1013904223U;
    value = static_cast<T>(static_cast<int>((state >> 16) % (2U * static_cast<unsigned>(limit))) -
                           limit);
  }
  return values;
}

py::dict section_times() {
  py::dict d;
  const auto totals = section_totals();
  for (size_t i = 0; i < totals.size(); ++i) {
    const double seconds = static_cast<double>(totals[i].nanoseconds) * 1e-9;
    d[kSectionNames[i]] = py::make_tuple(seconds, totals[i].calls, totals[i].tokens);
  }
  return d;
}

std::tuple<double, double> time_peak(const std::string& set, int64_t rounds, int threads) {
  const KernelTable& kernels = find_kernels(set);
  if (kernels.peak == nullptr) {
    throw Error(BSQ_ERROR_UNSUPPORTED, "the kernel set \"" + set + "\" has no bare loop");
  }
  if (rounds < 1 || rounds > int64_t{1} << 40) fail_argument("rounds must be 1 to 2^40");
  const py::gil_scoped_release release;
  ThreadPool pool(threads);
  std::vector<int64_t> done(static_cast<size_t>(threads));
  const auto began = std::chrono::steady_clock::now();
  pool.parallel_for(done.size(), [&](size_t i) {
    int32_t sums[16];
    done[i] = kernels.peak(rounds, sums);
  });
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - began;
  double all = 0;
  for (const int64_t count : done) all += static_cast<double>(count);
  return {all, time.count()};
}

std::vector<double> time_linear(const std::string& set, const std::string& operation, int rows,
                                int inputs, int outputs, int repeats) {
  const KernelTable& kernels = find_kernels(set);
  require_range(rows, 1, kMaxRows, "rows");
  require_range(inputs, 8, kMaxChannels, "inputs");
  require_range(outputs, 1, kMaxChannels, "outputs");
  if (inputs % 8 != 0) fail_argument("inputs must be a multiple of 8");
  const auto n = static_cast<size_t>(outputs);
  const auto count = static_cast<size_t>(rows);
  const auto w = noise<int8_t>(n * static_cast<size_t>(inputs), 127);
  const std::vector<int32_t> m(n, 1 << 20);
  const std::vector<int8_t> table(256, 1);
  const LinearSource source{outputs, inputs, w.data(), nullptr, m.data(), 40};
  const ptrdiff_t stride = inputs;
  if (operation == "linear16_rq16") {
    require_range(inputs, 8, 256, "inputs");
    const PackedLinear layer = kernels.pack_linear16(source);
    const auto x = noise<int16_t>(count * static_cast<size_t>(inputs), 1000);
    std::vector<int16_t> out(count * n);
    return time_calls(repeats, [&] {
      kernels.linear16_rq16(layer.view(), x.data(), stride, rows, true, out.data(), outputs);
    });
  }
  const PackedLinear layer = kernels.pack_linear8(source);
  const auto x = noise<int8_t>(count * static_cast<size_t>(inputs), 127);
  if (operation == "linear8_rq8") {
    std::vector<int8_t> out(count * n);
    return time_calls(repeats, [&] {
      kernels.linear8_rq8(layer.view(), x.data(), stride, rows, table.data(), out.data(), outputs);
    });
  }
  if (operation != "linear8_rq16") {
    fail_argument("operation is \"" + operation +
                  "\", it must be linear8_rq8, linear8_rq16 or linear16_rq16");
  }
  std::vector<int16_t> out(count * n);
  return time_calls(repeats, [&] {
    kernels.linear8_rq16(layer.view(), x.data(), stride, rows, true, out.data(), outputs);
  });
}

std::vector<double> time_tokenizer(const PyModel& model, const std::string& half, int height,
                                   int width, int threads, int repeats) {
  require_range(height, 1, kMaxSide, "height");
  require_range(width, 1, kMaxSide, "width");
  const auto networks = model.handle->model->networks(current_kernels()).predicted;
  ActiveTokens active(height, width);
  active.set_all();
  const auto count = static_cast<size_t>(active.count());
  const auto side = noise<int16_t>(count * kSideVector, 256);
  ThreadPool pool(threads);
  if (half == "analysis") {
    const auto residual = noise<int16_t>(count * kSampleVector, 512);
    std::vector<int8_t> z(count * static_cast<size_t>(networks->layout.bits()));
    TokenizerEncoder encoder(networks, pool);
    return time_calls(repeats,
                      [&] { encoder.encode(active, residual.data(), side.data(), z.data()); });
  }
  if (half != "synthesis") {
    fail_argument("half is \"" + half + "\", it must be analysis or synthesis");
  }
  const auto tokens = noise<int8_t>(count * static_cast<size_t>(networks->layout.width()), 64);
  std::vector<int16_t> out(count * kSampleVector);
  TokenizerDecoder decoder(networks, pool);
  return time_calls(repeats,
                    [&] { decoder.decode(active, tokens.data(), side.data(), out.data()); });
}

}  // namespace

void bind_bench(py::module_& m) {
  m.def("set_section_clock", &set_section_clock, py::arg("on"),
        "Count the time of encoders and decoders by section, from zero, or stop counting.");
  m.def(
      "section_times", &section_times,
      "Seconds, calls and tokens by the name of the section, since set_section_clock(True): of the "
      "threads that call encoders and decoders.");
  m.def("time_peak", &time_peak, py::arg("kernels"), py::arg("rounds"), py::arg("threads") = 1,
        "Multiply-adds and seconds of the set's products in a bare loop on registers, on every "
        "thread at once. Raises UnsupportedError for scalar.");
  m.def("time_linear", &time_linear, py::arg("kernels"), py::arg("operation"), py::arg("rows"),
        py::arg("inputs"), py::arg("outputs"), py::arg("repeats"),
        "Seconds of each call of linear8_rq8, linear8_rq16 or linear16_rq16, the last two adding.");
  m.def("time_tokenizer", &time_tokenizer, py::arg("model"), py::arg("half"), py::arg("height"),
        py::arg("width"), py::arg("threads"), py::arg("repeats"),
        "Seconds of each run of the \"analysis\" or \"synthesis\" network over all tokens of a "
        "frame of that many, by the current kernels.");
}

}  // namespace bsq
