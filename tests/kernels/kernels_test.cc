// Compares the kernels of one set with the scalar ones, for processors on which no Python runs.
//
//     kernels_test          prints the names of the sets that this processor can run, best first
//     kernels_test SET      prints "all equal" after comparing every function of the set's table
//
// Inputs end where readable memory ends, and outputs have room between their rows that must stay
// as it was.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "base/status.h"
#include "kernels/dispatch.h"
#include "kernels/packed.h"

namespace {

using bsq::KernelTable;

// As in test_kernels.py: rows, inputs, outputs.
struct Shape {
  int rows, k, n;
};
constexpr Shape kShapes[] = {{1, 8, 1},     {1, 1024, 9},   {2, 8, 128},   {5, 104, 64},
                             {6, 24, 63},   {7, 192, 65},   {11, 200, 96}, {12, 256, 200},
                             {13, 40, 17},  {19, 384, 192}, {3, 72, 136},  {0, 16, 16},
                             {4, 1024, 16}, {9, 16, 8},     {8, 48, 15}};
struct Grid {
  int height, width, channels;
};
constexpr Grid kGrids[] = {{1, 1, 8},  {3, 2, 64}, {2, 19, 24}, {4, 37, 136},
                           {1, 3, 16}, {2, 4, 8},  {1, 16, 40}, {2, 33, 192}};

enum class Kind { kRandom, kExtreme, kNegative, kZero };
constexpr Kind kKinds[] = {Kind::kRandom, Kind::kExtreme, Kind::kNegative, Kind::kZero};
constexpr int kSeeds = 3;
constexpr int kTaps = 25;
constexpr int kBorder = 2;

std::mt19937_64 generator;

int random_within(int low, int high) {
  return std::uniform_int_distribution<int>(low, high)(generator);
}

int value(Kind kind, int limit) {
  switch (kind) {
    case Kind::kRandom:
      return random_within(-limit, limit);
    case Kind::kExtreme:
      return random_within(0, 1) != 0 ? limit : -limit;
    case Kind::kNegative:
      return -limit;
    default:
      return 0;
  }
}

// Memory of which the byte after the last cannot be read.
template <class T>
class Guarded {
 public:
  explicit Guarded(size_t count) : count_(count) {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t bytes = count * sizeof(T);
    size_ = (bytes + page - 1) / page * page + page;
    void* memory = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) std::abort();
    memory_ = static_cast<char*>(memory);
    if (mprotect(memory_ + size_ - page, page, PROT_NONE) != 0) std::abort();
    data_ = reinterpret_cast<T*>(memory_ + size_ - page - bytes);
  }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;
  ~Guarded() { munmap(memory_, size_); }

  void fill(Kind kind, int limit) {
    std::generate_n(data_, count_, [&] { return static_cast<T>(value(kind, limit)); });
  }

  T* data() { return data_; }
  const T* data() const { return data_; }

 private:
  size_t count_;
  size_t size_;
  char* memory_;
  T* data_;
};

// Rows with three elements of room between them, all of one pattern to begin with.
template <class T>
struct Rows {
  static constexpr int kGap = 3;
  std::vector<T> values;
  ptrdiff_t stride;

  Rows(int rows, int width)
      : values(static_cast<size_t>(rows) * static_cast<size_t>(width + kGap), T{0x5A}),
        stride(width + kGap) {}
};

int failures = 0;

template <class T>
void compare(const Rows<T>& actual, const Rows<T>& expected, const std::string& what) {
  if (actual.values == expected.values) return;
  const auto at =
      std::mismatch(actual.values.begin(), actual.values.end(), expected.values.begin());
  const auto index = at.first - actual.values.begin();
  std::printf("%s: row %td, column %td: %ld instead of %ld\n", what.c_str(), index / actual.stride,
              index % actual.stride, static_cast<long>(*at.first), static_cast<long>(*at.second));
  ++failures;
}

std::vector<int32_t> multipliers(int count) {
  std::vector<int32_t> m(static_cast<size_t>(count));
  for (int32_t& v : m) v = random_within(0, INT32_MAX);
  if (count > 1) m[1] = 0;
  m[0] = INT32_MAX;
  return m;
}

// Weights, biases and multipliers of a layer whose sums use all of 32 bits but do not leave them.
struct Layer {
  std::vector<int8_t> w;
  std::vector<int32_t> b;
  std::vector<int32_t> m;
  bsq::LinearSource source;

  Layer(const Shape& shape, Kind kind, int input_limit) : m(multipliers(shape.n)) {
    const int limit = std::min(127, INT32_MAX / (input_limit * shape.k + 1));
    for (int n = 0; n < shape.n; ++n) {
      int64_t sum = 0;
      for (int k = 0; k < shape.k; ++k) {
        w.push_back(static_cast<int8_t>(value(kind == Kind::kZero ? Kind::kExtreme : kind, limit)));
        sum += std::abs(w.back());
      }
      const auto room = static_cast<int>(INT32_MAX - input_limit * sum);
      b.push_back(kind == Kind::kRandom
                      ? random_within(-std::min(room, 50000), std::min(room, 50000))
                      : value(Kind::kExtreme, room));
    }
    constexpr int kShifts[] = {32, 36, 40, 47, 62};
    source = {shape.n, shape.k, w.data(), b.data(), m.data(), kShifts[random_within(0, 4)]};
  }
};

struct Tables {
  Guarded<int8_t> table{256};
  Tables() { table.fill(Kind::kRandom, 127); }
  const int8_t* at(int i) const { return i == 0 ? nullptr : table.data(); }
};

template <class T>
struct Case {
  const Shape& shape;
  const Layer layer;
  Guarded<T> x;
  Case(const Shape& of, Kind kind, int limit)
      : shape(of),
        layer(of, kind, limit),
        x(static_cast<size_t>(of.rows) * static_cast<size_t>(of.k)) {
    x.fill(kind, limit);
  }
};

// `run` calls one function of the table it is given.
template <class T, class Run>
void both(const KernelTable& set, const std::string& what, const Rows<T>& before, const Run& run) {
  Rows<T> actual = before;
  Rows<T> expected = before;
  run(set, actual);
  run(bsq::kKernelsScalar, expected);
  compare(actual, expected, what);
}

Rows<int16_t> filled(int rows, int width, Kind kind) {
  Rows<int16_t> out(rows, width);
  for (int16_t& v : out.values) {
    v = static_cast<int16_t>(value(kind == Kind::kRandom ? kind : Kind::kExtreme, 32767));
  }
  return out;
}

void test_linear8(const KernelTable& set, const Shape& shape, Kind kind) {
  const Case<int8_t> c(shape, kind, 127);
  const int8_t* x = c.x.data();
  both(set, "linear8_s32", Rows<int32_t>(shape.rows, shape.n), [&](const auto& kernels, auto& out) {
    const auto packed = kernels.pack_linear8(c.layer.source);
    kernels.linear8_s32(packed.view(), x, shape.k, shape.rows, out.values.data(), out.stride);
  });
  const Tables tables;
  for (int i = 0; i < 2; ++i) {
    both(set, "linear8_rq8", Rows<int8_t>(shape.rows, shape.n),
         [&](const auto& kernels, auto& out) {
           const auto packed = kernels.pack_linear8(c.layer.source);
           kernels.linear8_rq8(packed.view(), x, shape.k, shape.rows, tables.at(i),
                               out.values.data(), out.stride);
         });
  }
  for (const bool add : {false, true}) {
    both(set, "linear8_rq16", filled(shape.rows, shape.n, kind),
         [&](const auto& kernels, auto& out) {
           const auto packed = kernels.pack_linear8(c.layer.source);
           kernels.linear8_rq16(packed.view(), x, shape.k, shape.rows, add, out.values.data(),
                                out.stride);
         });
  }
}

void test_linear16(const KernelTable& set, const Shape& shape, Kind kind) {
  if (shape.k > 256) return;
  const Case<int16_t> c(shape, kind, 32767);
  for (const bool add : {false, true}) {
    both(set, "linear16_rq16", filled(shape.rows, shape.n, kind),
         [&](const auto& kernels, auto& out) {
           const auto packed = kernels.pack_linear16(c.layer.source);
           kernels.linear16_rq16(packed.view(), c.x.data(), shape.k, shape.rows, add,
                                 out.values.data(), out.stride);
         });
  }
}

void test_dwconv5(const KernelTable& set, const Grid& grid, Kind kind) {
  const auto [height, width, channels] = grid;
  const ptrdiff_t row = static_cast<ptrdiff_t>(width + 2 * kBorder) * channels;
  Guarded<int8_t> x(static_cast<size_t>((height + 2 * kBorder) * row));
  x.fill(kind, 127);
  std::vector<int8_t> w(static_cast<size_t>(kTaps * channels));
  for (int8_t& v : w)
    v = static_cast<int8_t>(value(kind == Kind::kZero ? Kind::kRandom : kind, 127));
  std::vector<int32_t> b(static_cast<size_t>(channels));
  const int room = kind == Kind::kExtreme ? INT32_MAX - kTaps * 127 * 127 : 90000;
  for (int32_t& v : b) v = value(kind == Kind::kExtreme ? kind : Kind::kRandom, room);
  const std::vector<int32_t> m = multipliers(channels);
  const bsq::DepthwiseSource source{channels, w.data(), b.data(), m.data(), random_within(38, 44)};
  both(set, "dwconv5_rq8", Rows<int8_t>(height * width, channels),
       [&](const auto& kernels, auto& out) {
         const auto packed = kernels.pack_depthwise(source);
         for (int y = 0; y < height; ++y) {
           kernels.dwconv5_rq8(packed.view(), x.data() + (y + kBorder) * row + kBorder * channels,
                               row, width, out.values.data() + y * width * out.stride, out.stride);
         }
       });
}

void test_requant8(const KernelTable& set, const Shape& shape, Kind kind) {
  Guarded<int16_t> x(static_cast<size_t>(shape.rows) * static_cast<size_t>(shape.k));
  x.fill(kind, 32767);
  const std::vector<int32_t> m = multipliers(shape.k);
  const auto requant = bsq::pack_requant(m.data(), shape.k, random_within(32, 62));
  const Tables tables;
  for (int i = 0; i < 2; ++i) {
    both(set, "requant8", Rows<int8_t>(shape.rows, shape.k), [&](const auto& kernels, auto& out) {
      kernels.requant8(requant.view(), shape.k, x.data(), shape.k, shape.rows, tables.at(i),
                       out.values.data(), out.stride);
    });
  }
}

int test(const KernelTable& set) {
  for (int seed = 0; seed < kSeeds; ++seed) {
    for (const Kind kind : kKinds) {
      generator.seed(static_cast<uint64_t>(seed * 4) + static_cast<uint64_t>(kind));
      for (const Shape& shape : kShapes) {
        test_linear8(set, shape, kind);
        test_linear16(set, shape, kind);
        test_requant8(set, shape, kind);
      }
      for (const Grid& grid : kGrids) test_dwconv5(set, grid, kind);
    }
  }
  if (failures == 0) std::puts("all equal");
  return failures == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::puts(bsq::kernel_set_names().c_str());
    return 0;
  }
  try {
    return test(bsq::find_kernels(argv[1]));
  } catch (const bsq::Error& error) {
    std::fprintf(stderr, "kernels_test: %s\n", error.what());
    return 2;
  }
}
