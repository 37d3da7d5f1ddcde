// What encoder and decoder keep of a sequence from frame to frame, on the processor, and the steps
// of a layer that both take alike: prediction, networks, reconstruction.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/plane.h"
#include "base/thread_pool.h"
#include "codec/common/deblock.h"
#include "codec/common/geometry.h"
#include "codec/common/layer_state_base.h"
#include "codec/common/wiener.h"
#include "network/model.h"
#include "network/prior.h"
#include "network/samples.h"
#include "network/token_field.h"
#include "network/tokenizer.h"

namespace bsq {

struct TileState : SymbolTile {
  TilePrior* prior = nullptr;  // of the frame at work
};

// A set of networks with its working memory.
struct LayerNetworks {
  LayerNetworks(const Geometry& geometry, const std::shared_ptr<const Networks>& set,
                ThreadPool& pool);

  Prior prior;
  TokenizerDecoder decoder;
  std::vector<TilePrior> tiles;
};

// Of a held frame.
struct FrameSamples {
  explicit FrameSamples(const Geometry& geometry, int stages)
      : frame(geometry.make_frame()), tokens(geometry.tokens_y, geometry.tokens_x, stages) {}

  Frame frame;
  TokenField tokens;  // of the last layer
};

class LayerState : public LayerStateBase<LayerState, TileState, FrameSamples> {
 public:
  // The pool must outlive the state.
  LayerState(const Geometry& geometry, const NetworkSets& networks, ThreadPool& pool,
             bool is_base = false);

  const KernelTable& kernels() const { return keyframes_.prior.networks().kernels; }

  // Begins a frame with its coding state; may be called again for the same frame. The prediction of
  // a keyframe is middle values.
  void begin_frame(const FrameRole& role);
  // The prediction of a keyframe from its base frame.
  void predict_from_base();
  // The prediction from the references by `motion`.
  void compensate();
  // The prediction in the host's memory, and that samples of it were replaced.
  Frame& host_samples() { return current; }
  void store_samples() {}
  // q of the tokens of a layer.
  TokenSteps steps(int q) const {
    return {q, geometry_.chroma_crf_offset, superblocks.delta_q.data(), geometry_.superblocks_x};
  }
  // Lists the tokens of the active superblocks, and makes their side vectors from the prediction.
  void list_active(int q, const LayerPlace& place);
  // The logits of the stage flags, by the prior's trunk.
  void run_trunk();
  // Hands the stage counts to the prior of every tile.
  void begin_bits();
  // The decoder network on the tokens as they stand; its output is in `output`.
  void run_decoder();
  // Turns the prediction into the reconstruction, and this layer's tokens into the previous ones.
  // `decoded`: run_decoder() has been called on exactly these tokens.
  void end_layer(int q, bool decoded);
  // See side_vectors().
  const std::vector<int16_t>& prediction_side() const { return prediction_side_; }
  // The tokens of the layer that ended last.
  const TokenField& coded_tokens() const { return previous_; }
  // After the last layer: the deblocking filter. `q`: of the last layer.
  void deblock(int q);
  // After that, not in base frames: the Wiener filter as the tiles' choices say.
  void filter();
  // For encoders, after deblock(): all planes as the choices are made from them.
  const WienerFilter& prepare_filter();
  // For encoders, after the last layer: delta q that were not coded are those of before.
  void keep_delta_q() { superblocks.keep_delta_q(); }
  // The reconstruction is done: the frame takes its slot.
  void end_frame();

  Frame current;  // the prediction, and after end_layer() the reconstruction
  std::vector<int16_t> side;
  std::vector<int16_t> flag_logits;
  std::vector<int16_t> output;

 private:
  void keep_samples(int plane);
  int16_t edge_step(const TokenSteps& steps, int y, int x, int up, int left) const;
  size_t count() const { return static_cast<size_t>(active.count()); }

  LayerNetworks keyframes_;
  std::unique_ptr<LayerNetworks> predicted_;  // not of base frames
  LayerNetworks* networks_ = nullptr;         // of the frame at work
  TokenField previous_;
  std::vector<int8_t> vectors_;
  std::vector<uint8_t> stages_;        // of the active tokens
  std::vector<uint8_t> coded_;         // per token: whether a layer of this frame has bits for it
  std::vector<uint16_t> differences_;  // of the two predictions of each token
  std::vector<int16_t> prediction_side_;  // [tokens, kPredictionSide]
  DeblockEdges edges_;
  std::unique_ptr<WienerFilter> wiener_;  // not of base frames
  bool prepared_ = false;                 // all of its planes
  std::vector<const WienerSet*> sets_;
};

static_assert(LayerCodingState<LayerState>);

}  // namespace bsq
