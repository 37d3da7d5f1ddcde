// The model file as it lies on disk: docs/bitstream.md section 6. Nothing in it is trusted.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace bsq {

// Sizes of one network: residual stream, hidden layer of a block, number of blocks.
struct NetworkSize {
  int width = 0;
  int hidden = 0;
  int blocks = 0;
};

// Sizes of a set of networks.
struct NetworkSizes {
  NetworkSize encoder;
  NetworkSize decoder;
  NetworkSize prior;
};

struct ModelConfig {
  int stages = 0;          // S
  NetworkSizes predicted;  // for frames that are predicted from others
  NetworkSizes keyframes;  // for keyframes and their base frames

  const NetworkSizes& sizes(bool keyframe) const { return keyframe ? keyframes : predicted; }
};

// What the names of a set's tensors begin with.
constexpr const char* tensor_prefix(bool keyframe) { return keyframe ? "key." : ""; }

// One tensor, row-major; exactly one of the two arrays is filled.
struct Tensor {
  std::vector<int> shape;
  uint64_t offset = 0;  // in the file, for messages
  std::vector<int8_t> s8;
  std::vector<int32_t> s32;
};

struct ModelFile {
  std::array<uint8_t, 16> id{};
  std::string name;
  std::string text;  // the JSON object
  ModelConfig config;
  std::map<std::string, Tensor> tensors;

  // The tensor, or nullptr where an optional one (a bias) is absent.
  const Tensor* find(const std::string& tensor) const;
};

// Parses a model file and checks everything: structure, digest, names and shapes against the
// configuration, and the limits of docs/numerics.md section 6. Throws Error, see Model::load.
ModelFile parse_model_file(std::span<const uint8_t> bytes);

}  // namespace bsq
