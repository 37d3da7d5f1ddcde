// Between samples and networks on the device: docs/numerics.md sections 3 and 4.
#pragma once

#include "base/quant_step.h"
#include "cuda/kernels/depthwise.h"

namespace bsq::cuda {

// Planes of the coded size, 16 bits a sample, without gaps between rows.
struct Planes {
  uint16_t* data[3];
  int width[3];
  int height[3];
  int count;
  int bit_depth;

  BSQ_DEVICE uint16_t& at(int plane, int x, int y) const {
    return data[plane][static_cast<int64_t>(y) * width[plane] + x];
  }
  BSQ_DEVICE int largest() const { return (1 << bit_depth) - 1; }
  constexpr int64_t bytes(int plane) const {
    return int64_t{width[plane]} * height[plane] * static_cast<int64_t>(sizeof(uint16_t));
  }
};

// Steps of a layer's tokens: TokenSteps of network/token_steps.h on the device.
struct Steps {
  int q;
  int chroma_crf_offset;
  const int16_t* delta_q;  // by superblock
  int superblocks_x;

  BSQ_DEVICE int at(int y, int x) const {
    return clamp(q + kDeltaQUnit * delta_q[y / 4 * superblocks_x + x / 4], 0, kMaxQ);
  }
  BSQ_DEVICE int chroma_at(int y, int x) const { return chroma_q(at(y, x), chroma_crf_offset); }
};

// Where value i of a token's 96 samples lies.
struct SamplePlace {
  int plane;
  int x;
  int y;
};
BSQ_DEVICE SamplePlace sample_place(const Position& token, int i) {
  if (i < 64) return {0, token.x * 8 + i % 8, token.y * 8 + i / 8};
  const int j = i % 16;
  return {i < 80 ? 1 : 2, token.x * 4 + j % 4, token.y * 4 + j / 4};
}

// A sample of the prediction with what the decoder network adds, in steps, Q8.
BSQ_DEVICE int32_t reconstructed(int32_t prediction, int16_t output, int64_t step,
                                 int32_t largest) {
  const auto change = static_cast<int32_t>((output * step + (1 << 15)) >> 16);
  return clamp(prediction + change, 0, largest);
}

// A 16-bit value as LinearKernel reads it: the upper byte, and `pitch` bytes on the lower one.
BSQ_DEVICE void store_split(int32_t value, int8_t* to, int pitch) {
  to[0] = static_cast<int8_t>(value >> 8);
  to[pitch] = static_cast<int8_t>(value & 0xFF);
}

// All samples of all planes to one value.
struct FillKernel {
  static constexpr int kThreads = 256;
  struct Shared {};
  struct Local {};

  Planes planes;
  int value;

  int64_t blocks() const { return static_cast<int64_t>(planes.height[0]) * planes.count; }

  template <class Block>
  BSQ_DEVICE void run(Block& block) const {
    block.each_apart([&](int thread, Local&) {
      const int plane = block.index() % planes.count;
      const int y = block.index() / planes.count;
      if (y >= planes.height[plane]) return;
      for (int x = thread; x < planes.width[plane]; x += kThreads) {
        planes.at(plane, x, y) = static_cast<uint16_t>(value);
      }
    });
  }
};

// Side vectors of the active tokens, as LinearKernel reads 16-bit values. A thread makes one value.
struct SideKernel {
  static constexpr int kThreads = 128;
  static constexpr int kValues = 104;
  struct Shared {};
  struct Local {};

  Planes prediction;
  const Position* positions;
  int rows;
  Steps steps;
  int first_of_keyframe;  // the values of docs/numerics.md section 3
  int later;
  int above;
  const int16_t* prediction_side;  // [tokens of the frame, 2], or null: all are 0
  int tokens_x;
  int8_t* out;  // [rows, 2, pitch]
  int pitch;

  int64_t blocks() const { return rows; }

  template <class Block>
  BSQ_DEVICE void run(Block& block) const {
    block.each_apart([&](int thread, Local&) {
      if (thread >= kValues) return;
      const int64_t row = block.index();
      store_split(side(positions[row], thread), out + row * 2 * pitch + thread, pitch);
    });
  }

 private:
  BSQ_DEVICE int32_t side(const Position& token, int i) const {
    if (i < 96) {
      const SamplePlace p = sample_place(token, i);
      if (p.plane >= prediction.count) return 0;
      const int middle = 1 << (prediction.bit_depth - 1);
      return (prediction.at(p.plane, p.x, p.y) - middle) * (1 << (10 - prediction.bit_depth));
    }
    switch (i - 96) {
      case 0:
        return steps.at(token.y, token.x) - 256;
      case 1:
        return first_of_keyframe;
      case 2:
        return later;
      case 3:
        return above;
      case 4:
      case 5:
        if (prediction_side == nullptr) return 0;
        return prediction_side[2 * (static_cast<int64_t>(token.y) * tokens_x + token.x) + i - 100];
      default:
        return 0;
    }
  }
};

// The prediction into the reconstruction at the active tokens. A thread makes one sample.
struct ReconstructKernel {
  static constexpr int kThreads = 96;
  struct Shared {};
  struct Local {};

  const int16_t* output;  // [rows, pitch], in steps
  int pitch;
  const Position* positions;
  int rows;
  Steps steps;
  const int32_t* step_values;  // by q
  Planes frame;

  int64_t blocks() const { return rows; }

  template <class Block>
  BSQ_DEVICE void run(Block& block) const {
    block.each_apart([&](int thread, Local&) {
      const Position token = positions[block.index()];
      const SamplePlace p = sample_place(token, thread);
      if (p.plane >= frame.count) return;
      const int q = p.plane == 0 ? steps.at(token.y, token.x) : steps.chroma_at(token.y, token.x);
      const int64_t step = int64_t{step_values[q]} << (frame.bit_depth - 8);
      const int16_t value = output[static_cast<int64_t>(block.index()) * pitch + thread];
      uint16_t& sample = frame.at(p.plane, p.x, p.y);
      sample = static_cast<uint16_t>(reconstructed(sample, value, step, frame.largest()));
    });
  }
};

// A cropped plane into memory of one byte a sample for 8 bits, of two above.
struct ExportKernel {
  static constexpr int kThreads = 256;
  struct Shared {};
  struct Local {};

  Planes frame;
  int plane;
  int width;
  int height;
  void* out;
  int64_t pitch;  // bytes

  int64_t blocks() const { return height; }

  template <class Block>
  BSQ_DEVICE void run(Block& block) const {
    block.each_apart([&](int thread, Local&) {
      const int y = block.index();
      uint8_t* row = static_cast<uint8_t*>(out) + y * pitch;
      for (int x = thread; x < width; x += kThreads) {
        const uint16_t sample = frame.at(plane, x, y);
        if (frame.bit_depth > 8) {
          reinterpret_cast<uint16_t*>(row)[x] = sample;
        } else {
          row[x] = static_cast<uint8_t>(sample);
        }
      }
    });
  }
};

}  // namespace bsq::cuda
