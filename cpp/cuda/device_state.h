// What encoder and decoder keep of a sequence on a device from frame to frame, and the steps of a
// layer.
//
// Symbols, contexts and flags are the host's, samples, tokens and networks the device's. The host
// waits for the device where the range decoder needs logits, and nowhere else.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/thread_pool.h"
#include "codec/common/geometry.h"
#include "codec/common/layer_state_base.h"
#include "codec/common/symbols.h"
#include "cuda/group_prior.h"
#include "cuda/kernels/motion.h"
#include "cuda/kernels/wiener.h"
#include "cuda/stack.h"
#include "network/samples.h"

namespace bsq::cuda {

// Samples of one frame in the device's memory.
class DeviceFrame {
 public:
  DeviceFrame(Device& device, const Geometry& geometry);
  const Planes& planes() const { return planes_; }

 private:
  DeviceArray<uint16_t> samples_;
  Planes planes_{};
};

// Tokens of a frame, by place.
struct DeviceTokens {
  DeviceTokens(Device& device, const Geometry& geometry, int max_stages)
      : stages(device, geometry.tokens()),
        bits(device, geometry.tokens() * static_cast<size_t>(max_stages)) {}

  TokenArrays arrays() const { return {stages.data(), bits.data()}; }

  DeviceArray<uint8_t> stages;
  DeviceArray<uint32_t> bits;
};

// Of a held frame.
struct DeviceSamples {
  DeviceSamples(Device& device, const Geometry& geometry, int stages)
      : frame(std::make_unique<DeviceFrame>(device, geometry)), tokens(device, geometry, stages) {}

  std::unique_ptr<DeviceFrame> frame;
  DeviceTokens tokens;
};

// Memory of the Wiener filter.
struct DeviceWiener {
  DeviceWiener(Device& device, const Geometry& geometry)
      : input(device, geometry),
        details(device, 4 * geometry.tokens()),
        classes(device, 4 * geometry.tokens()),
        numbers(device, geometry.superblocks()),
        sets(device, geometry.tiles.size() * WienerKernel::kClasses * WienerKernel::kTaps) {}

  DeviceFrame input;
  DeviceArray<WienerDetail> details;
  DeviceArray<uint8_t> classes;
  Mirror<int16_t> numbers;  // of the tile whose set a superblock has, or -1
  Mirror<int16_t> sets;     // of every tile
};

class DeviceState : public LayerStateBase<DeviceState, SymbolTile, DeviceSamples> {
 public:
  // Device and pool must outlive the state.
  DeviceState(const Geometry& geometry, const WeightSets& sets, Device& device, ThreadPool& pool,
              bool encodes, bool is_base = false);

  // As in LayerState.
  void begin_frame(const FrameRole& role);
  void predict_from_base();
  void compensate();
  // As in LayerState: a copy.
  Frame& host_samples();
  void store_samples();
  // By place: not 0 for sample-coded tokens; null if there are none.
  const uint8_t* sample_marks() const { return has_samples() ? sample_marks_.device() : nullptr; }
  // For encoders, which look at tokens before they are listed: the superblocks' delta q to the
  // device.
  void send_delta_q();
  // As in LayerState.
  void keep_delta_q();
  void list_active(int q, const LayerPlace& place);
  // Returns when the logits are in `flag_logits`.
  void run_trunk();
  void queue_trunk();
  void begin_bits();
  void run_decoder();
  void end_layer(int q, bool decoded);
  // The tokens of the layer that ended last.
  const TokenField& coded_tokens() const { return tokens; }
  void deblock(int q);
  void filter();
  void end_frame();

  Device& device() { return device_; }
  // Of the frame at work.
  const Weights& weights() const { return *weights_; }
  NetworkRunner& runner() { return runner_; }
  GroupPrior& prior() { return prior_; }
  // The frame at work.
  const Planes& current() const { return current_->planes(); }
  // The layer at work as kernels see it.
  ActiveList active_list() const { return {positions_.device(), index_.device(), active.count()}; }
  Steps steps(int q) const;
  // Tokens of this layer, by place.
  TokenArrays fields() const { return fields_.arrays(); }

  Mirror<int16_t> flag_logits;

 private:
  static std::vector<TokenRect> rects(const Geometry& geometry);
  void put_delta_q();
  void expand(const DeviceTokens& fields);
  void copy_tokens(const DeviceTokens& from, DeviceTokens& to);
  void send_motion();
  bool send_filters(int plane);
  void classify();

  const WeightSets sets_;
  const Weights* weights_;  // of the frame at work
  Device& device_;
  NetworkRunner runner_;
  GroupPrior prior_;
  std::unique_ptr<DeviceFrame> current_;
  DeviceTokens fields_;
  DeviceTokens previous_;
  DeviceArray<uint8_t> coded_;  // by place: whether a layer of this frame has bits there
  Mirror<Position> positions_;
  Mirror<int32_t> index_;
  Mirror<int16_t> delta_q_;
  std::array<Mirror<Vector>, 2> vectors_;  // by reference
  Mirror<uint8_t> direction_;
  DeviceArray<int16_t> prediction_side_;
  Mirror<uint8_t> sample_marks_;
  Frame host_samples_;  // made when it is needed
  DeviceArray<int16_t> left_edges_;
  DeviceArray<int16_t> upper_edges_;
  std::unique_ptr<DeviceWiener> wiener_;  // not of base frames
};

static_assert(LayerCodingState<DeviceState>);

// Step 3 of a layer, for LayerDecoder: all tiles take a sub-group at a time.
template <class Loop>
void decode_bits(DeviceState& state, int type, const Loop& each_tile) {
  if (state.active.count() == 0) return;
  GroupPrior& prior = state.prior();
  for (int group = 0; group < kGroups; ++group) {
    if (!prior.begin_group(group)) continue;
    for (int stage = 0; stage < state.tokens.max_stages && prior.begin_stage(stage); ++stage) {
      for (int j = 0; j < kSubgroups; ++j) {
        prior.logits(j);
        each_tile([&](SymbolTile& tile, TokenCoder auto& coder) {
          const auto b = static_cast<size_t>(&tile - state.tiles.data());
          code_subgroup(coder, tile.contexts.of_type(type), state.active, prior.tokens_of(b), stage,
                        j, prior.logits_of(b), prior.pair(), state.tokens, prior.bytes_of(b));
        });
        prior.feed();
      }
    }
    prior.end_group(state.tokens);
  }
}

}  // namespace bsq::cuda
