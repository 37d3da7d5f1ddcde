// A set of networks of a model with their weights packed for one kernel set. Immutable.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/aligned.h"
#include "kernels/kernel_table.h"
#include "kernels/packed.h"
#include "network/model_file.h"
#include "network/token_field.h"

namespace bsq {

// linear8 - table - linear8 with the requantization of its input.
struct FfnWeights {
  PackedRequant in;
  PackedLinear fc1;
  AlignedVector<int8_t> table;
  PackedLinear fc2;
};

struct BlockWeights {
  FfnWeights ffn;
  PackedDepthwise dw;
};

// Blocks on a residual stream, and the requantization of the stream after them.
struct StackWeights {
  NetworkSize size;
  std::vector<BlockWeights> blocks;
  PackedRequant f;
};

// How the decoder network's output answers to a bit: docs/numerics.md section 4.
struct ResponseWeights {
  std::vector<PackedLinear> around;  // 16-bit input; by neighbour, row by row
  std::vector<int16_t> energy;       // by bit
};

struct EncoderWeights {
  PackedLinear in;  // 16-bit input, 200 wide
  StackWeights stack;
  PackedLinear head;
  ResponseWeights response;
};

struct DecoderWeights {
  PackedLinear tok;
  PackedLinear side;
  StackWeights stack;
  PackedLinear out;
};

struct PriorWeights {
  PackedLinear tok;
  PackedLinear side;
  StackWeights stack;
  PackedLinear flag;
  PackedLinear cur;
  PackedDepthwise ctx;
  PackedLinear mix;
  FfnWeights ffn;
  // By 4 * stage + sub-group.
  std::vector<PackedRequant> head_in;
  std::vector<PackedLinear> head;
  std::vector<PackedLinear> emb;
  AlignedVector<int8_t> head_table;
  // [4 S, 8 (bit that is 1), 8 (bit it is known to)], Q8.
  std::vector<int16_t> pair;
};

struct Networks {
  const KernelTable& kernels;
  NetworkSizes sizes;
  TokenLayout layout;
  EncoderWeights encoder;
  DecoderWeights decoder;
  PriorWeights prior;
};

// Packs one set of networks of a checked model file.
Networks pack_networks(const ModelFile& file, const KernelTable& kernels, bool keyframe);

}  // namespace bsq
