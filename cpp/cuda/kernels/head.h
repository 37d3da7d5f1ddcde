// The light heads of the prior: bits that have become known into v, then the logits of eight more.
#pragma once

#include "cuda/kernels/depthwise.h"

namespace bsq::cuda {

// A sub-group of the bits of a group's tokens, where these lie by place.
struct KnownBits {
  const uint32_t* bits;  // [places, S], or null
  const int32_t* list;   // active token by slot
  const Position* positions;
  int tokens_x;
  int max_stages;
  int stage;
  int shift;

  BSQ_DEVICE uint8_t byte(int32_t slot) const {
    const Position at = positions[list[slot]];
    const int64_t place = at.y * tokens_x + at.x;
    return static_cast<uint8_t>(bits[place * max_stages + stage] >> shift);
  }
};

// A block makes 16 rows. The four warps share the inputs among them, and their sums are added.
struct HeadKernel {
  static constexpr int kThreads = 128;
  static constexpr int kRows = 16;
  static constexpr int kOutputs = 8;
  static constexpr int kWarps = kThreads / kWarp;
  static constexpr int kMaxWidth = 512;
  static constexpr int kPitch = kMaxWidth + 16;

  struct Shared {
    alignas(16) int8_t h[kRows * kPitch];
    uint8_t bytes[kRows];
    int32_t sums[kWarps][kRows * kOutputs];
  };
  struct Local {
    int32_t sums[4];
    uint32_t a[4];
    uint32_t b[2];
  };

  const int32_t* slots;  // row of v by row
  int rows;
  int16_t* v;  // [slots, pitch]
  int pitch;
  int width;  // at most kMaxWidth

  // v += rq16(linear8(64 * byte; emb)) with the sub-group that has become known: bytes by slot, or
  // `known`; no bits to add where both are null. The bytes and the logits may lie in memory of the
  // host: each is read or written once.
  const uint8_t* bytes;
  KnownBits known;
  const int8_t* emb_w;  // [width, 8]
  const int32_t* emb_b;
  const int32_t* emb_m;
  int emb_shift;

  const int32_t* in_m;
  int in_shift;
  const int8_t* table;
  const int8_t* w;  // [64, k]
  const int32_t* b;
  const int32_t* m;
  int k;
  int shift;
  int16_t* logits;  // [rows, 8]

  int64_t blocks() const { return (rows + kRows - 1) / kRows; }

  template <class Block>
  BSQ_DEVICE void run(Block& block) const {
    const int first = block.index() * kRows;
    if (adds()) {
      block.each([&](int thread, Local&) {
        const int row = first + thread;
        if (thread < kRows && row < rows) block.shared().bytes[thread] = byte_of(slots[row]);
      });
    }
    block.each([&](int thread, Local& local) {
      for (int i = 0; i < 4; ++i) local.sums[i] = 0;
      for (int item = thread; item < kRows * k; item += kThreads) {
        const int row = item / k;
        block.shared().h[row * kPitch + item % k] =
            hidden(first + row, item % k, block.shared().bytes[row]);
      }
    });
    const int steps = k / 32;
    for (int i = 0; i < steps; i += kWarps) {
      block.each_apart([&](int thread, Local& local) {
        load(thread, i + thread / kWarp, block.shared(), local);
      });
      block.template mma<false>(
          [](Local& local) { return Fragments{local.sums, local.a, local.b}; });
    }
    block.each([&](int thread, Local& local) {
      int32_t* sums = block.shared().sums[thread / kWarp];
      const int at = thread % kWarp / 4 * kOutputs + thread % 4 * 2;
      for (int i = 0; i < 4; ++i) sums[at + i % 2 + (i < 2 ? 0 : 8 * kOutputs)] = local.sums[i];
    });
    block.each_apart([&](int thread, Local&) { finish(thread, first, block.shared()); });
  }

 private:
  BSQ_DEVICE bool adds() const { return bytes != nullptr || known.bits != nullptr; }
  BSQ_DEVICE uint8_t byte_of(int32_t slot) const {
    return bytes != nullptr ? bytes[slot] : known.byte(slot);
  }

  // The activation of one channel; v is brought up to date on the way.
  BSQ_DEVICE int8_t hidden(int row, int channel, int byte) const {
    if (row >= rows || channel >= width) return 0;
    int16_t& value = v[static_cast<int64_t>(slots[row]) * pitch + channel];
    if (adds()) {
      int32_t sum = emb_b[channel];
      const int8_t* weights = emb_w + channel * kOutputs;
      for (int i = 0; i < kOutputs; ++i) sum += weights[i] * (((byte >> i) & 1) != 0 ? 64 : 0);
      value = add16(value, rq16(sum, emb_m[channel], emb_shift));
    }
    return table[rq8(value, in_m[channel], in_shift) + 128];
  }

  BSQ_DEVICE void load(int thread, int step, const Shared& shared, Local& local) const {
    const int group = thread % kWarp / 4;
    const int at = step * 32 + thread % 4 * 4;
    const bool inside = step * 32 < k;
    const int8_t* from = shared.h + group * kPitch + at;
    const int8_t* weights = w + group * k + at;
    local.a[0] = inside ? word(from) : 0;
    local.a[1] = inside ? word(from + 8 * kPitch) : 0;
    local.a[2] = inside ? word(from + 16) : 0;
    local.a[3] = inside ? word(from + 8 * kPitch + 16) : 0;
    local.b[0] = inside ? word(weights) : 0;
    local.b[1] = inside ? word(weights + 16) : 0;
  }

  BSQ_DEVICE static uint32_t word(const int8_t* bytes) {
    return *reinterpret_cast<const uint32_t*>(bytes);
  }

  BSQ_DEVICE void finish(int thread, int first, const Shared& shared) const {
    const int row = first + thread / kOutputs;
    const int output = thread % kOutputs;
    if (row >= rows) return;
    int32_t sum = b[output];
    for (int i = 0; i < kWarps; ++i) sum += shared.sums[i][thread];
    logits[static_cast<int64_t>(row) * kOutputs + output] = rq16(sum, m[output], shift);
  }
};

}  // namespace bsq::cuda
