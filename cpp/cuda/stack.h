// Residual networks on the active tokens of a frame: docs/numerics.md section 4.
#pragma once

#include <cstddef>
#include <cstdint>

#include "codec/common/geometry.h"
#include "cuda/weights.h"

namespace bsq::cuda {

// The active tokens of a layer, in the device's memory.
struct ActiveList {
  const Position* positions = nullptr;
  const int32_t* index = nullptr;  // by place, -1 where inactive
  int count = 0;
};

// The networks of a model, one at a time: they share their working memory. All launches are of
// all active tokens at once.
class NetworkRunner {
 public:
  // `encodes`: with memory for the encoder network. The sets must outlive the object.
  NetworkRunner(Device& device, const WeightSets& sets, const Geometry& geometry, bool encodes);

  // The set that runs from now on, one of those.
  void use(const Weights& weights) { weights_ = &weights; }

  // What a network reads: token vectors [active tokens, vector_pitch()] and side vectors
  // [active tokens, 2, side_pitch()].
  int8_t* vectors() const { return vectors_.data(); }
  int vector_pitch() const;
  int8_t* side() const { return side_.data(); }
  int side_pitch() const;

  // The decoder network; its output [active tokens, output_pitch()].
  void synthesis(const ActiveList& active);
  const int16_t* output() const { return output_.data(); }
  static constexpr int output_pitch() { return kSampleVector; }

  // What the encoder network reads: [active tokens, 2, feature_pitch()].
  int8_t* features() const { return features_.data(); }
  int feature_pitch() const { return weights_->analysis().in.k; }
  // The encoder network; latents [active tokens, latent_pitch()].
  void analysis(const ActiveList& active);
  int8_t* latents() const { return latents_.data(); }
  int latent_pitch() const { return padded(weights_->analysis().head.n); }

  // What response() reads, in the place of features: [active tokens, 2, error_pitch()].
  int8_t* errors() const { return features_.data(); }
  static constexpr int error_pitch() { return padded(kSampleVector); }
  // What the bits of every token gain by the errors of one neighbour, added to that by the
  // neighbours before it: [active tokens, latent_pitch()].
  void response(int neighbour, const ActiveList& active);
  const int16_t* gains() const { return gains_.data(); }

  // The prior's trunk: logits of the stage flags [active tokens, 3 S].
  void trunk(const ActiveList& active, int16_t* flags);
  // Its residual stream [active tokens, padded width].
  const int16_t* stream() const { return trunk_stream_.data(); }

  // d = rq8(dwconv5(x)) at the rows of `list` (null: all active tokens); `area` as in
  // DepthwiseKernel. Rows of x are padded. The result lies in scratch memory.
  const int8_t* convolve(const Depthwise& layer, const ActiveList& active, const int8_t* x,
                         const int32_t* list, int rows, const int16_t* area);
  // x = add16(x, rq16(fc2(table(rq8(fc1(d)))))), and `next` as of the sum where not null; rows of x
  // are padded.
  void feed_forward(const Ffn& ffn, const int8_t* d, int rows, int16_t* x, const Requant* next,
                    int8_t* out8);
  // Scratch memory of [tokens, padded width], other than the result of convolve().
  int8_t* narrow() const { return narrow_.data(); }

 private:
  void run(const Stack& stack, const Linear& tok, const Linear& side, const ActiveList& active,
           int16_t* stream);
  void begin(const Stack& stack, LinearKernel& first, int16_t* stream);
  void blocks(const Stack& stack, const ActiveList& active, int16_t* stream);

  Device& device_;
  const Weights* weights_;
  const int tokens_x_;
  const int tokens_y_;
  DeviceArray<int8_t> vectors_;
  DeviceArray<int8_t> side_;
  DeviceArray<int8_t> features_;
  DeviceArray<int16_t> stream_;        // of the tokenizer's networks
  DeviceArray<int16_t> trunk_stream_;  // which the groups read while others run
  DeviceArray<int8_t> narrow_;         // what a block or an output reads
  DeviceArray<int8_t> convolved_;
  DeviceArray<int8_t> hidden_;
  DeviceArray<int16_t> output_;
  DeviceArray<int8_t> latents_;
  DeviceArray<int16_t> gains_;  // made when they are first needed
};

}  // namespace bsq::cuda
