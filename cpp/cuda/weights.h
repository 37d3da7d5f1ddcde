// Weights of a model in the layouts that the device's kernels read; all pointers are the device's.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "cuda/device.h"
#include "network/layers.h"
#include "network/model.h"

namespace bsq::cuda {

// Linear layers: [outputs, inputs] with both rounded up to a multiple of 64 by zeros; `b` and `m`
// likewise. Rows of what they read are as long, so that no kernel tests the end of a row.
constexpr int kPadding = 64;
constexpr int padded(int count) { return (count + kPadding - 1) / kPadding * kPadding; }

struct Linear {
  const int8_t* w = nullptr;
  const int32_t* b = nullptr;
  const int32_t* m = nullptr;
  int n = 0;
  int k = 0;
  int shift = 32;
};

struct Requant {
  const int32_t* m = nullptr;
  int shift = 32;
};

struct Depthwise {
  const int8_t* w = nullptr;  // [25, channels]
  const int32_t* b = nullptr;
  const int32_t* m = nullptr;
  int channels = 0;
  int shift = 32;
};

struct Ffn {
  Requant in;
  Linear fc1;
  const int8_t* table = nullptr;
  Linear fc2;
};

struct ResidualBlock {
  Depthwise dw;
  Ffn ffn;
};

struct Stack {
  NetworkSize size;
  std::vector<ResidualBlock> blocks;
  Requant f;
};

struct Synthesis {
  Linear tok;
  Linear side;
  Stack stack;
  Linear out;
};

// The encoder network, and the decoder network's response to bits.
struct Analysis {
  Linear in;
  Stack stack;
  Linear head;
  std::vector<Linear> around;         // by neighbour
  const int16_t* energies = nullptr;  // by bit
};

// Tables of the encoder's rates: entropy/logistic.h, entropy/bit_cost.h.
struct RateTables {
  const uint16_t* logistic = nullptr;
  const uint32_t* log2 = nullptr;
};

struct PriorLayers {
  Linear tok;
  Linear side;
  Stack stack;
  Linear flag;
  Linear cur;
  Depthwise ctx;
  Linear mix;
  Ffn ffn;
  const int8_t* head_table = nullptr;
  // By 4 * stage + sub-group.
  std::vector<Requant> head_in;
  std::vector<Linear> head;
  std::vector<Linear> emb;  // [width, 8], not padded
};

// The kernel of a layer, its outputs still to be set.
LinearKernel linear_kernel(const Linear& layer, const int8_t* x, int rows);

// The layers of a set of networks on one device. Immutable after the construction.
class Weights {
 public:
  // Copies the weights to the device, which must outlive the object.
  Weights(Device& device, std::shared_ptr<const Networks> networks);

  const NetworkSizes& sizes() const { return networks_->sizes; }
  const TokenLayout& layout() const { return networks_->layout; }
  const Analysis& analysis() const { return analysis_; }
  const Synthesis& synthesis() const { return synthesis_; }
  const PriorLayers& prior() const { return prior_; }
  // What the prior's groups see of a token of which no bit is known, by its number of stages:
  // [S + 1, padded width].
  const int8_t* presence() const { return presence_.data(); }
  // Steps by q: docs/numerics.md section 3.
  const int32_t* steps() const { return steps_; }
  // What the bits of a sub-group that are 1 add to the logits of later ones; host memory.
  const int16_t* pair(int head) const;
  // The same in the device's memory.
  const int16_t* device_pair(int head) const;
  const RateTables& rates() const { return rates_; }

 private:
  class Packer;
  void pack(Packer& packer);
  void make_presence(Device& device);

  std::shared_ptr<const Networks> networks_;
  DeviceArray<int8_t> memory_;
  DeviceArray<int8_t> presence_;
  Analysis analysis_;
  Synthesis synthesis_;
  PriorLayers prior_;
  const int32_t* steps_ = nullptr;
  const int16_t* pairs_ = nullptr;
  RateTables rates_;
};

// Both sets of a model: NetworkSets.
struct WeightSets {
  std::shared_ptr<const Weights> predicted;
  std::shared_ptr<const Weights> keyframes;

  const Weights& of(bool keyframe) const { return keyframe ? *keyframes : *predicted; }
  int widest_prior() const {
    return std::max(predicted->sizes().prior.width, keyframes->sizes().prior.width);
  }
};

// Weights by model, copied to the device once for each. The models must outlive the object.
class WeightsOfModels {
 public:
  const WeightSets& of(Device& device, const Model& model) {
    WeightSets& sets = packed_[&model];
    if (sets.keyframes == nullptr) {
      const NetworkSets networks = model.networks(kKernelsScalar);
      sets = {std::make_shared<const Weights>(device, networks.predicted),
              std::make_shared<const Weights>(device, networks.keyframes)};
    }
    return sets;
  }

 private:
  std::map<const Model*, WeightSets> packed_;
};

}  // namespace bsq::cuda
