// What tensors a model consists of, and their limits.
#include "network/tensor_specs.h"

#include <limits>

#include "network/token_field.h"

namespace bsq {
namespace {

constexpr int kMaxWeight = 127;
constexpr int kMinShift = 32;
constexpr int kMaxShift = 62;
constexpr int kTaps = 25;
constexpr int kInput8 = 127;
constexpr int kInput16 = 32767;
constexpr int kHeads = kStages * kSubgroups;
constexpr int kTableSize = 256;

class Builder {
 public:
  std::vector<TensorSpec> take() { return std::move(specs_); }

  void weights(const std::string& name, std::vector<int> shape, int input_limit, int axis) {
    specs_.push_back({name + ".w", TensorType::kS8, std::move(shape), -kMaxWeight, kMaxWeight,
                      false, input_limit, axis});
  }

  void bias(const std::string& name, std::vector<int> shape) {
    values(name + ".b", std::move(shape), true);
  }

  void values(const std::string& name, std::vector<int> shape, bool optional) {
    specs_.push_back({name, TensorType::kS32, std::move(shape), std::numeric_limits<int32_t>::min(),
                      std::numeric_limits<int32_t>::max(), optional, 0, 0});
  }

  void table(const std::string& name) {
    specs_.push_back({name, TensorType::kS8, {kTableSize}, -kMaxWeight, kMaxWeight, false, 0, 0});
  }

  // `layers` requantizations of `channels` each; a single one has no axis for itself.
  void requant(const std::string& name, std::vector<int> channels, int layers) {
    specs_.push_back({name + ".m", TensorType::kS32, std::move(channels), 0,
                      std::numeric_limits<int32_t>::max(), false, 0, 0});
    specs_.push_back({name + ".n", TensorType::kS32, {layers}, kMinShift, kMaxShift, false, 0, 0});
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
  std::vector<TensorSpec> specs_;
};

void add_encoder(const NetworkSize& size, Builder& builder) {
  builder.linear("enc.in", size.width, kSampleVector + kSideVector, kInput16);
  builder.stack("enc", size);
  builder.weights("enc.head", {kStages * kStageBits, size.width}, kInput8, 1);
  builder.bias("enc.head", {kStages * kStageBits});
  for (const FeedbackTensor& feedback : kFeedback) {
    builder.values(feedback.name, {kStageBits, kStageBits}, false);
  }
}

void add_decoder(const NetworkSize& size, Builder& builder) {
  builder.linear("dec.tok", size.width, kTokenVector, kInput8);
  builder.linear("dec.side", size.width, kSideVector, kInput16);
  builder.stack("dec", size);
  builder.linear("dec.out", kSampleVector, size.width, kInput8);
}

void add_prior(const NetworkSize& size, Builder& builder) {
  builder.linear("prior.tok", size.width, kTokenVector, kInput8);
  builder.linear("prior.side", size.width, kSideVector, kInput16);
  builder.stack("prior", size);
  builder.linear("prior.flag", kFlagOutputs, size.width, kInput8);
  builder.linear("prior.cur", size.width, kTokenVector, kInput8);
  builder.depthwise("prior.ctx", size.width);
  builder.linear("prior.mix", size.width, size.width, kInput8);
  builder.ffn("prior.ffn", size.width, size.hidden);
  builder.requant("prior.head.in", {kHeads, size.width}, kHeads);
  builder.table("prior.head.table");
  builder.weights("prior.head", {kHeads, kSubgroupBits, size.width}, kInput8, 2);
  builder.bias("prior.head", {kHeads, kSubgroupBits});
  builder.requant("prior.head", {kHeads, kSubgroupBits}, kHeads);
  builder.weights("prior.emb", {kHeads, size.width, kSubgroupBits}, kInput8, 2);
  builder.requant("prior.emb", {kHeads, size.width}, kHeads);
}

}  // namespace

std::vector<TensorSpec> tensor_specs(const ModelConfig& config) {
  Builder builder;
  add_encoder(config.encoder, builder);
  add_decoder(config.decoder, builder);
  add_prior(config.prior, builder);
  return builder.take();
}

}  // namespace bsq
