// Linear layers on int8 tensor cores with their requantization: docs/numerics.md section 2.
#pragma once

#include "cuda/thread_block.h"

namespace bsq::cuda {

// out = rq(linear8(x)), or linear16(x) where `split` is set: x then holds the high bytes of 16-bit
// values, k of them, and after them the low ones as unsigned bytes. A block makes 64 rows of 64
// outputs. All rows of x and w are k long, a multiple of 64 and zero where padded; the
// arrays hold whole blocks of 64 rows.
struct LinearKernel {
  static constexpr int kThreads = 128;
  static constexpr int kTile = 64;    // rows and outputs of a block
  static constexpr int kStep = 64;    // inputs that are in shared memory at a time
  static constexpr int kPitch = 80;   // bytes of a row there, so that no two threads meet in a bank
  static constexpr int kColumns = 8;  // products of a warp, side by side

  struct Shared {
    alignas(16) int8_t x[kTile * kPitch];
    alignas(16) int8_t w[kTile * kPitch];
  };
  struct Local {
    Bytes16 x[2];
    Bytes16 w[2];
    int32_t sums[kColumns][4];
    uint32_t a[4];
    uint32_t b[2];
  };

  const int8_t* x;
  int rows;
  bool split;
  const int8_t* w;
  const int32_t* b;
  const int32_t* m;
  int n;
  int k;
  int shift;

  // 8-bit output: rq8, through the table where there is one. With `wide` rq16 instead, added to
  // `added` where that is not null, into out16 where that is not null; and then out8 = rq8 of that.
  bool wide;
  const int8_t* table;
  const int16_t* added;
  const int32_t* added_rows;  // row of `added` by row of x; null: the same
  int added_pitch;
  int16_t* out16;
  int out16_pitch;
  const int32_t* next_m;
  int next_shift;
  int8_t* out8;              // may be null where `wide` is set
  const int32_t* out8_rows;  // row of out8 by row of x; null: the same
  int out8_pitch;

  int64_t blocks() const {
    return static_cast<int64_t>((rows + kTile - 1) / kTile) * ((n + kTile - 1) / kTile);
  }

  template <class Block>
  BSQ_DEVICE void run(Block& block) const {
    const int tiles = (n + kTile - 1) / kTile;
    const int first_row = block.index() / tiles * kTile;
    const int first_output = block.index() % tiles * kTile;
    const int steps = k / kStep;
    const int loads = split ? 2 * steps : steps;
    block.each_apart([&](int thread, Local& local) {
      for (int j = 0; j < kColumns; ++j) {
        for (int i = 0; i < 4; ++i) local.sums[j][i] = 0;
      }
      load(thread, first_row, first_output, 0, steps, local);
    });
    for (int i = 0; i < loads; ++i) {
      block.each([&](int thread, Local& local) { store(thread, local, block.shared()); });
      if (i + 1 < loads) {
        block.each_apart([&](int thread, Local& local) {
          load(thread, first_row, first_output, i + 1, steps, local);
        });
      }
      if (i < steps) {
        multiply<false>(block);
      } else {
        multiply<true>(block);
      }
      // Of 16-bit inputs, the high bytes count 256 times. The barrier is for the next store().
      block.each([&](int, Local& local) {
        if (!split || i + 1 != steps) return;
        for (int j = 0; j < kColumns; ++j) {
          for (int s = 0; s < 4; ++s) {
            local.sums[j][s] = static_cast<int32_t>(static_cast<uint32_t>(local.sums[j][s]) << 8);
          }
        }
      });
    }
    block.each_apart(
        [&](int thread, Local& local) { finish(thread, first_row, first_output, local); });
  }

 private:
  // Four threads take the 64 bytes of a row, and every thread those of two rows.
  BSQ_DEVICE void load(int thread, int first_row, int first_output, int i, int steps,
                       Local& local) const {
    const int64_t x_pitch = split ? 2 * k : k;
    const int64_t x_at = i * kStep + thread % 4 * 16;
    const int64_t w_at = i % steps * kStep + thread % 4 * 16;
    for (int half = 0; half < 2; ++half) {
      const int row = thread / 4 + 32 * half;
      local.x[half] = *reinterpret_cast<const Bytes16*>(x + (first_row + row) * x_pitch + x_at);
      local.w[half] = *reinterpret_cast<const Bytes16*>(
          w + static_cast<int64_t>(first_output + row) * k + w_at);
    }
  }

  BSQ_DEVICE static void store(int thread, const Local& local, Shared& shared) {
    for (int half = 0; half < 2; ++half) {
      const int at = (thread / 4 + 32 * half) * kPitch + thread % 4 * 16;
      *reinterpret_cast<Bytes16*>(shared.x + at) = local.x[half];
      *reinterpret_cast<Bytes16*>(shared.w + at) = local.w[half];
    }
  }

  BSQ_DEVICE static uint32_t word(const int8_t* bytes) {
    return *reinterpret_cast<const uint32_t*>(bytes);
  }

  // A warp makes 16 rows of all outputs.
  template <bool kUnsigned, class Block>
  BSQ_DEVICE static void multiply(Block& block) {
    const Shared& shared = block.shared();
    for (int inner = 0; inner < kStep; inner += 32) {
      block.each_apart([&](int thread, Local& local) {
        const int row = thread / kWarp * 16 + thread % kWarp / 4;
        const int8_t* from = shared.x + row * kPitch + inner + thread % 4 * 4;
        local.a[0] = word(from);
        local.a[1] = word(from + 8 * kPitch);
        local.a[2] = word(from + 16);
        local.a[3] = word(from + 8 * kPitch + 16);
      });
#ifdef __CUDACC__
#pragma unroll
#endif
      for (int j = 0; j < kColumns; ++j) {
        block.each_apart([&](int thread, Local& local) {
          const int output = 8 * j + thread % kWarp / 4;
          const int8_t* from = shared.w + output * kPitch + inner + thread % 4 * 4;
          local.b[0] = word(from);
          local.b[1] = word(from + 16);
        });
        block.template mma<kUnsigned>(
            [j](Local& local) { return Fragments{local.sums[j], local.a, local.b}; });
      }
    }
  }

  BSQ_DEVICE void finish(int thread, int first_row, int first_output, const Local& local) const {
    const int row = first_row + thread / kWarp * 16 + thread % kWarp / 4;
    const int output = first_output + thread % 4 * 2;
#ifdef __CUDACC__
#pragma unroll
#endif
    for (int j = 0; j < kColumns; ++j) {
      for (int i = 0; i < 4; ++i) {
        put(row + (i < 2 ? 0 : 8), output + 8 * j + i % 2, local.sums[j][i]);
      }
    }
  }

  BSQ_DEVICE void put(int row, int output, int32_t sum) const {
    if (row >= rows || output >= n) return;
    const int64_t to8 = out8_rows != nullptr ? out8_rows[row] : row;
    sum += b[output];
    if (!wide) {
      const int8_t value = rq8(sum, m[output], shift);
      out8[to8 * out8_pitch + output] = table != nullptr ? table[value + 128] : value;
      return;
    }
    int16_t value = rq16(sum, m[output], shift);
    if (added != nullptr) {
      const int64_t from = added_rows != nullptr ? added_rows[row] : row;
      value = add16(added[from * added_pitch + output], value);
    }
    if (out16 != nullptr) out16[static_cast<int64_t>(row) * out16_pitch + output] = value;
    if (out8 != nullptr) {
      out8[to8 * out8_pitch + output] = rq8(value, next_m[output], next_shift);
    }
  }
};

}  // namespace bsq::cuda
