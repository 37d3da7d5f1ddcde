// Packs the weights of a model into one piece of device memory.
#include "cuda/weights.h"

#include <algorithm>
#include <cstring>
#include <span>

#include "base/quant_step.h"
#include "entropy/bit_cost.h"
#include "entropy/logistic.h"
#include "network/samples.h"

namespace bsq::cuda {

// Lays arrays out one after the other. With the address 0 it only counts; with that of memory of
// the size so found it gives the pointers and the bytes to copy there.
class Weights::Packer {
 public:
  explicit Packer(int8_t* memory) : memory_(memory) {}

  const std::vector<int8_t>& bytes() const { return bytes_; }

  template <class T>
  const T* array(std::span<const T> values) {
    constexpr size_t kAligned = 256;
    const size_t at = bytes_.size();
    bytes_.resize((at + values.size_bytes() + kAligned - 1) / kAligned * kAligned);
    std::memcpy(bytes_.data() + at, values.data(), values.size_bytes());
    return memory_ == nullptr ? nullptr : reinterpret_cast<const T*>(memory_ + at);
  }
  template <class Vector>
  auto vector(const Vector& values) {
    return array(std::span<const typename Vector::value_type>(values));
  }

  // `packed` by the scalar kernels, that is as the model file has it.
  Linear linear(const PackedLinear& packed, bool pad = true) {
    const int k = pad ? padded(packed.k) : packed.k;
    const int n = pad ? padded(packed.n) : packed.n;
    std::vector<int8_t> w(static_cast<size_t>(n) * static_cast<size_t>(k));
    for (ptrdiff_t row = 0; row < packed.n; ++row) {
      std::memcpy(w.data() + row * k, packed.w.data() + row * packed.k,
                  static_cast<size_t>(packed.k));
    }
    return {vector(w), vector(packed.b), vector(packed.m), packed.n, k, packed.shift};
  }
  Requant requant(const PackedRequant& packed) { return {vector(packed.m), packed.shift}; }
  Depthwise depthwise(const PackedDepthwise& packed) {
    return {vector(packed.w), vector(packed.b), vector(packed.m), packed.channels, packed.shift};
  }
  Ffn ffn(const FfnWeights& packed) {
    return {requant(packed.in), linear(packed.fc1), vector(packed.table), linear(packed.fc2)};
  }
  Stack stack(const StackWeights& packed) {
    Stack stack{packed.size, {}, requant(packed.f)};
    for (const BlockWeights& block : packed.blocks) {
      stack.blocks.push_back({depthwise(block.dw), ffn(block.ffn)});
    }
    return stack;
  }

 private:
  int8_t* const memory_;
  std::vector<int8_t> bytes_;
};

Weights::Weights(Device& device, std::shared_ptr<const Networks> networks)
    : networks_(std::move(networks)) {
  Packer counter(nullptr);
  pack(counter);
  memory_ = DeviceArray<int8_t>(device, counter.bytes().size());
  Packer packer(memory_.data());
  pack(packer);
  device.upload(memory_.data(), packer.bytes().data(), packer.bytes().size());
  device.wait();
  make_presence(device);
}

void Weights::make_presence(Device& device) {
  const Linear& cur = prior_.cur;
  const int counts = layout().stages + 1;
  static_assert(kMaxStages + 1 <= LinearKernel::kTile);
  std::vector<int8_t> vectors(static_cast<size_t>(LinearKernel::kTile) *
                              static_cast<size_t>(cur.k));
  for (int n = 0; n < counts; ++n) {
    const uint32_t bits[kMaxStages] = {};
    token_vector(layout(), n, bits, vectors.data() + static_cast<ptrdiff_t>(n) * cur.k);
  }
  const DeviceArray<int8_t> input(device, vectors.size());
  device.upload(input.data(), vectors.data(), vectors.size());
  presence_ =
      DeviceArray<int8_t>(device, static_cast<size_t>(counts) * static_cast<size_t>(padded(cur.n)));
  LinearKernel kernel = linear_kernel(cur, input.data(), counts);
  kernel.out8 = presence_.data();
  kernel.out8_pitch = padded(cur.n);
  device.launch(kernel);
  device.wait();
}

LinearKernel linear_kernel(const Linear& layer, const int8_t* x, int rows) {
  LinearKernel kernel{};
  kernel.x = x;
  kernel.rows = rows;
  kernel.w = layer.w;
  kernel.b = layer.b;
  kernel.m = layer.m;
  kernel.n = layer.n;
  kernel.k = layer.k;
  kernel.shift = layer.shift;
  return kernel;
}

void Weights::pack(Packer& packer) {
  const EncoderWeights& encoder = networks_->encoder;
  analysis_ = {packer.linear(encoder.in),
               packer.stack(encoder.stack),
               packer.linear(encoder.head),
               {},
               packer.vector(encoder.response.energy)};
  for (const PackedLinear& layer : encoder.response.around) {
    analysis_.around.push_back(packer.linear(layer));
  }
  const DecoderWeights& decoder = networks_->decoder;
  synthesis_ = {packer.linear(decoder.tok), packer.linear(decoder.side),
                packer.stack(decoder.stack), packer.linear(decoder.out)};
  const PriorWeights& prior = networks_->prior;
  prior_ = {packer.linear(prior.tok),
            packer.linear(prior.side),
            packer.stack(prior.stack),
            packer.linear(prior.flag),
            packer.linear(prior.cur),
            packer.depthwise(prior.ctx),
            packer.linear(prior.mix),
            packer.ffn(prior.ffn),
            packer.vector(prior.head_table),
            {},
            {},
            {}};
  for (size_t i = 0; i < prior.head.size(); ++i) {
    prior_.head_in.push_back(packer.requant(prior.head_in[i]));
    prior_.head.push_back(packer.linear(prior.head[i]));
    prior_.emb.push_back(packer.linear(prior.emb[i], false));
  }
  std::vector<int32_t> steps;
  for (int q = 0; q <= kMaxQ; ++q) steps.push_back(step_q8(q));
  steps_ = packer.vector(steps);
  pairs_ = packer.vector(prior.pair);
  rates_ = {packer.array(std::span<const uint16_t>(kLogistic)),
            packer.array(std::span<const uint32_t>(kLog2Q24))};
}

const int16_t* Weights::device_pair(int head) const {
  return pairs_ + static_cast<ptrdiff_t>(head) * kSubgroupBits * kSubgroupBits;
}

const int16_t* Weights::pair(int head) const {
  return networks_->prior.pair.data() +
         static_cast<ptrdiff_t>(head) * kSubgroupBits * kSubgroupBits;
}

}  // namespace bsq::cuda
