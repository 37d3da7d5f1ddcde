// What encoder and decoder keep of a sequence from picture to picture, and the steps of a layer
// that both take alike: prediction, networks, reconstruction.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/plane.h"
#include "base/thread_pool.h"
#include "codec/common/deblock.h"
#include "codec/common/geometry.h"
#include "codec/common/symbols.h"
#include "network/layers.h"
#include "network/prior.h"
#include "network/samples.h"
#include "network/token_field.h"
#include "network/tokenizer.h"

namespace bsq {

struct BlockState {
  Block area;
  TokenRect rect;
  BlockModels models;
  PriorBlock prior;
};

// A picture goes through begin_keyframe() or, once `motion` is known, compensate(); then every
// layer through list_active() with the active windows set, run_trunk(), begin_bits() with the stage
// counts set, end_layer() with the bits set; then filter() and end_picture().
class PictureState {
 public:
  // The pool must outlive the state.
  PictureState(const Geometry& geometry, const std::shared_ptr<const Networks>& networks,
               ThreadPool& pool, bool is_base = false);

  const Geometry& geometry() const { return geometry_; }
  ThreadPool& pool() const { return pool_; }
  const KernelTable& kernels() const { return networks_->kernels; }

  // Call before every picture.
  void begin_picture();
  // Middle values as the prediction, no earlier tokens, new models.
  void begin_keyframe();
  // Of the base picture of a keyframe; null in that one's own.
  PictureState* base() { return base_.get(); }
  const PictureState* base() const { return base_.get(); }
  // After begin_keyframe(): the prediction from the base picture.
  void predict_from_base();
  // The prediction from the reference by `motion`.
  void compensate();
  // q of the tokens of a layer.
  TokenSteps steps(int q) const { return {q, windows.offset.data(), geometry_.windows_x}; }
  // Lists the tokens of the active windows, and makes their side vectors from the prediction.
  void list_active(int q, const LayerPlace& place);
  // The logits of the stage flags, by the prior's trunk.
  void run_trunk();
  // Hands the stage counts to the prior of every block.
  void begin_bits();
  // The decoder network on the tokens as they stand; its output is in `output`.
  void run_decoder();
  // Turns the prediction into the reconstruction, and this layer's tokens into the previous ones.
  // `decoded`: run_decoder() has been called on exactly these tokens.
  void end_layer(int q, bool decoded);
  // The tokens of the layer that ended last.
  const TokenField& coded_tokens() const { return previous_; }
  // After the last layer: the deblocking filter. `q`: of the last layer.
  void filter(int q, bool keyframe);
  // For encoders, after the last layer: offsets that were not coded are those of before.
  void keep_offsets() { windows.keep_offsets(); }
  // Makes the reconstruction the reference.
  void end_picture();

  // fn(BlockState&, size_t index) for every block; over the pool if there are several, else on the
  // calling thread so that the networks inside have the pool.
  template <class Fn>
  void for_each_block(const Fn& fn) {
    if (blocks.size() == 1) {
      fn(blocks[0], size_t{0});
    } else {
      pool_.parallel_for(blocks.size(), [&](size_t i) { fn(blocks[i], i); });
    }
  }

  std::vector<BlockState> blocks;
  MotionSymbols motion;
  WindowFlags windows;
  TokenField tokens;  // of this layer; inactive tokens hold 0 stages
  ActiveTokens active;
  Frame current;    // the prediction, and after end_layer() the reconstruction
  Frame reference;  // the previous picture
  std::vector<int16_t> side;
  std::vector<int16_t> flag_logits;
  std::vector<int16_t> output;

 private:
  int16_t edge_step(const TokenSteps& steps, bool keyframe, int y, int x, int up, int left) const;
  size_t count() const { return static_cast<size_t>(active.count()); }

  const Geometry geometry_;
  const std::shared_ptr<const Networks> networks_;
  ThreadPool& pool_;
  Prior prior_;
  TokenizerDecoder decoder_;
  TokenField previous_;
  std::vector<int8_t> vectors_;
  std::vector<uint8_t> stages_;  // of the active tokens
  std::vector<uint8_t> coded_;   // per token: whether a layer of this picture has bits for it
  DeblockEdges edges_;
  std::unique_ptr<PictureState> base_;
};

}  // namespace bsq
