// The networks of a model with their weights packed for one kernel set.
#include "network/layers.h"

#include <utility>

#include "network/response.h"
#include "network/tensor_specs.h"

namespace bsq {
namespace {

// Takes tensors, which have been checked, out of a file by name.
class Packer {
 public:
  Packer(const ModelFile& file, const KernelTable& kernels, std::string prefix)
      : file_(file), kernels_(kernels), prefix_(std::move(prefix)) {}

  const int32_t* s32(const std::string& name) const {
    const Tensor* tensor = find(name);
    return tensor != nullptr ? tensor->s32.data() : nullptr;
  }

  LinearSource source(const std::string& name) const {
    const Tensor& w = *find(name + ".w");
    return {w.shape[0],       w.shape[1],       w.s8.data(),
            s32(name + ".b"), s32(name + ".m"), *s32(name + ".n")};
  }

  // Layer i of those that share a tensor with a leading axis.
  LinearSource source(const std::string& name, int i) const {
    const Tensor& w = *find(name + ".w");
    const int n = w.shape[1];
    const int k = w.shape[2];
    const int32_t* bias = s32(name + ".b");
    return {n,
            k,
            w.s8.data() + static_cast<ptrdiff_t>(i) * n * k,
            bias != nullptr ? bias + i * n : nullptr,
            s32(name + ".m") + i * n,
            s32(name + ".n")[i]};
  }

  PackedLinear linear8(const std::string& name) const {
    return kernels_.pack_linear8(source(name));
  }
  PackedLinear linear8(const std::string& name, int i) const {
    return kernels_.pack_linear8(source(name, i));
  }
  PackedLinear linear16(const std::string& name) const {
    return kernels_.pack_linear16(source(name));
  }
  PackedLinear linear16(const std::string& name, int i) const {
    return kernels_.pack_linear16(source(name, i));
  }

  PackedDepthwise depthwise(const std::string& name) const {
    const Tensor& w = *find(name + ".w");
    return kernels_.pack_depthwise(
        {w.shape[1], w.s8.data(), s32(name + ".b"), s32(name + ".m"), *s32(name + ".n")});
  }

  PackedRequant requant(const std::string& name, int channels, int i = 0) const {
    return pack_requant(s32(name + ".m") + i * channels, channels, s32(name + ".n")[i]);
  }

  AlignedVector<int8_t> table(const std::string& name) const {
    const std::vector<int8_t>& values = find(name)->s8;
    return {values.begin(), values.end()};
  }

  FfnWeights ffn(const std::string& name, int width) const {
    return {requant(name + ".in", width), linear8(name + ".fc1"), table(name + ".table"),
            linear8(name + ".fc2")};
  }

  StackWeights stack(const std::string& network, const NetworkSize& size) const {
    StackWeights stack{size, {}, requant(network + ".f", size.width)};
    for (int i = 0; i < size.blocks; ++i) {
      const std::string block = network + ".block" + std::to_string(i);
      stack.blocks.push_back({ffn(block, size.width), depthwise(block + ".dw")});
    }
    return stack;
  }

 private:
  const Tensor* find(const std::string& name) const { return file_.find(prefix_ + name); }

  const ModelFile& file_;
  const KernelTable& kernels_;
  const std::string prefix_;
};

ResponseWeights pack_response(const Packer& packer, int bits) {
  ResponseWeights response;
  for (int i = 0; i < kNeighbourhood; ++i) {
    response.around.push_back(packer.linear16("enc.response", i));
  }
  const int32_t* energy = packer.s32("enc.response.energy");
  response.energy.assign(energy, energy + bits);
  return response;
}

EncoderWeights pack_encoder(const Packer& packer, const NetworkSize& size, int bits) {
  return {packer.linear16("enc.in"), packer.stack("enc", size), packer.linear8("enc.head"),
          pack_response(packer, bits)};
}

DecoderWeights pack_decoder(const Packer& packer, const NetworkSize& size) {
  return {packer.linear8("dec.tok"), packer.linear16("dec.side"), packer.stack("dec", size),
          packer.linear8("dec.out")};
}

// [heads, bit, bit known] to [heads, bit known, bit].
std::vector<int16_t> transposed_pairs(const int32_t* pair, int heads) {
  std::vector<int16_t> out(static_cast<size_t>(heads) * kSubgroupBits * kSubgroupBits);
  for (int h = 0; h < heads; ++h) {
    for (int i = 0; i < kSubgroupBits; ++i) {
      for (int k = 0; k < kSubgroupBits; ++k) {
        out[static_cast<size_t>((h * kSubgroupBits + k) * kSubgroupBits + i)] =
            static_cast<int16_t>(*pair++);
      }
    }
  }
  return out;
}

PriorWeights pack_prior(const Packer& packer, const NetworkSize& size, int heads) {
  PriorWeights prior;
  prior.tok = packer.linear8("prior.tok");
  prior.side = packer.linear16("prior.side");
  prior.stack = packer.stack("prior", size);
  prior.flag = packer.linear8("prior.flag");
  prior.cur = packer.linear8("prior.cur");
  prior.ctx = packer.depthwise("prior.ctx");
  prior.mix = packer.linear8("prior.mix");
  prior.ffn = packer.ffn("prior.ffn", size.width);
  for (int i = 0; i < heads; ++i) {
    prior.head_in.push_back(packer.requant("prior.head.in", size.width, i));
    prior.head.push_back(packer.linear8("prior.head", i));
    prior.emb.push_back(packer.linear8("prior.emb", i));
  }
  prior.head_table = packer.table("prior.head.table");
  prior.pair = transposed_pairs(packer.s32("prior.pair"), heads);
  return prior;
}

}  // namespace

Networks pack_networks(const ModelFile& file, const KernelTable& kernels, bool keyframe) {
  const Packer packer(file, kernels, tensor_prefix(keyframe));
  const TokenLayout layout{file.config.stages};
  const NetworkSizes& sizes = file.config.sizes(keyframe);
  return {kernels,
          sizes,
          layout,
          pack_encoder(packer, sizes.encoder, layout.bits()),
          pack_decoder(packer, sizes.decoder),
          pack_prior(packer, sizes.prior, layout.heads())};
}

}  // namespace bsq
