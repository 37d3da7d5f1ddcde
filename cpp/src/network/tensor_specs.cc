// What tensors a model consists of, and their limits.
#include "network/tensor_specs.h"

#include <limits>

#include "network/response.h"

namespace bsq {
namespace {

constexpr int kMaxWeight = 127;
constexpr int kMinShift = 32;
constexpr int kMaxShift = 62;
constexpr int kTaps = 25;
constexpr int kInput8 = 127;
constexpr int kInput16 = 32767;
constexpr int kTableSize = 256;
constexpr int kMaxPair = 32767;
constexpr int kMaxEnergy = 32767;

class Builder {
 public:
  // Adds to `specs`, whose names begin with `prefix`.
  Builder(std::vector<TensorSpec>& specs, std::string prefix)
      : specs_(specs), prefix_(std::move(prefix)) {}

  void weights(const std::string& name, std::vector<int> shape, int input_limit, int axis) {
    add({name + ".w", TensorType::kS8, std::move(shape), -kMaxWeight, kMaxWeight, false,
         input_limit, axis});
  }

  void bias(const std::string& name, std::vector<int> shape) {
    add({name + ".b", TensorType::kS32, std::move(shape), std::numeric_limits<int32_t>::min(),
         std::numeric_limits<int32_t>::max(), true, 0, 0});
  }

  void pairs(const std::string& name, std::vector<int> shape) {
    add({name, TensorType::kS32, std::move(shape), -kMaxPair, kMaxPair, false, 0, 0});
  }

  void energies(const std::string& name, int count) {
    add({name, TensorType::kS32, {count}, 0, kMaxEnergy, false, 0, 0});
  }

  void table(const std::string& name) {
    add({name, TensorType::kS8, {kTableSize}, -kMaxWeight, kMaxWeight, false, 0, 0});
  }

  // `layers` requantizations of `channels` each; a single one has no axis for itself.
  void requant(const std::string& name, std::vector<int> channels, int layers) {
    add({name + ".m", TensorType::kS32, std::move(channels), 0, std::numeric_limits<int32_t>::max(),
         false, 0, 0});
    add({name + ".n", TensorType::kS32, {layers}, kMinShift, kMaxShift, false, 0, 0});
  }

  void linear(const std::string& name, int n, int k, int input_limit) {
    weights(name, {n, k}, input_limit, 1);
    bias(name, {n});
    requant(name, {n}, 1);
  }

  void depthwise(const std::string& name, int channels) {
    weights(name, {kTaps, channels}, kInput8, 0);
    bias(name, {channels});
    requant(name, {channels}, 1);
  }

  void ffn(const std::string& name, int width, int hidden) {
    requant(name + ".in", {width}, 1);
    linear(name + ".fc1", hidden, width, kInput8);
    table(name + ".table");
    linear(name + ".fc2", width, hidden, kInput8);
  }

  void stack(const std::string& network, const NetworkSize& size) {
    for (int i = 0; i < size.blocks; ++i) {
      const std::string block = network + ".block" + std::to_string(i);
      ffn(block, size.width, size.hidden);
      depthwise(block + ".dw", size.width);
    }
    requant(network + ".f", {size.width}, 1);
  }

 private:
  void add(TensorSpec spec) {
    spec.name = prefix_ + spec.name;
    specs_.push_back(std::move(spec));
  }

  std::vector<TensorSpec>& specs_;
  const std::string prefix_;
};

void add_encoder(const NetworkSize& size, const TokenLayout& layout, Builder& builder) {
  const int bits = layout.bits();
  builder.linear("enc.in", size.width, kSampleVector + kSideVector, kInput16);
  builder.stack("enc", size);
  builder.linear("enc.head", bits, size.width, kInput8);
  builder.weights("enc.response", {kNeighbourhood, bits, kSampleVector}, kErrorLimit, 2);
  builder.requant("enc.response", {kNeighbourhood, bits}, kNeighbourhood);
  builder.energies("enc.response.energy", bits);
}

void add_decoder(const NetworkSize& size, const TokenLayout& layout, Builder& builder) {
  builder.linear("dec.tok", size.width, layout.width(), kInput8);
  builder.linear("dec.side", size.width, kSideVector, kInput16);
  builder.stack("dec", size);
  builder.linear("dec.out", kSampleVector, size.width, kInput8);
}

void add_prior(const NetworkSize& size, const TokenLayout& layout, Builder& builder) {
  const int heads = layout.heads();
  builder.linear("prior.tok", size.width, layout.width(), kInput8);
  builder.linear("prior.side", size.width, kSideVector, kInput16);
  builder.stack("prior", size);
  builder.linear("prior.flag", layout.flags(), size.width, kInput8);
  builder.linear("prior.cur", size.width, layout.width(), kInput8);
  builder.depthwise("prior.ctx", size.width);
  builder.linear("prior.mix", size.width, size.width, kInput8);
  builder.ffn("prior.ffn", size.width, size.hidden);
  builder.requant("prior.head.in", {heads, size.width}, heads);
  builder.table("prior.head.table");
  builder.weights("prior.head", {heads, kSubgroupBits, size.width}, kInput8, 2);
  builder.bias("prior.head", {heads, kSubgroupBits});
  builder.requant("prior.head", {heads, kSubgroupBits}, heads);
  builder.weights("prior.emb", {heads, size.width, kSubgroupBits}, kInput8, 2);
  builder.requant("prior.emb", {heads, size.width}, heads);
  builder.pairs("prior.pair", {heads, kSubgroupBits, kSubgroupBits});
}

}  // namespace

std::vector<TensorSpec> tensor_specs(const ModelConfig& config) {
  const TokenLayout layout{config.stages};
  std::vector<TensorSpec> specs;
  for (const bool keyframe : {false, true}) {
    const NetworkSizes& sizes = config.sizes(keyframe);
    Builder builder(specs, tensor_prefix(keyframe));
    add_encoder(sizes.encoder, layout, builder);
    add_decoder(sizes.decoder, layout, builder);
    add_prior(sizes.prior, layout, builder);
  }
  return specs;
}

}  // namespace bsq
