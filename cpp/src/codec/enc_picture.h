// Encodes one picture into the payloads of a packet.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/plane.h"
#include "bsq/bsq.h"
#include "codec/enc_coder.h"
#include "codec/enc_decide.h"
#include "codec/enc_tokens.h"
#include "codec/enc_trace.h"
#include "codec/picture_state.h"
#include "network/tokenizer.h"

namespace bsq {

struct EncodedPicture {
  std::vector<std::vector<uint8_t>> payloads;  // one per block
  std::vector<int> steps;                      // q of every layer
  std::vector<std::vector<uint8_t>> base_payloads;
  std::vector<int> base_steps;  // none: no base picture
  SymbolCosts costs;
  int64_t tokens = 0;
  int64_t coded_tokens = 0;
  int64_t coded_stages = 0;
};

class PictureEncoder {
 public:
  // `state` must outlive the encoder. `preset`: a bsq_preset. From medium on bits
  // are chosen by their cost, and tokens checked by their true distortion.
  PictureEncoder(PictureState& state, const std::shared_ptr<const Networks>& networks,
                 const Tuning& tuning, int preset);

  // Whether keyframes have a base picture.
  bool has_base() const { return base_ != nullptr; }

  // Where the layers of pictures are noted from now on; null: nowhere.
  void trace(std::vector<LayerTrace>* layers);

  // state.current holds the prediction; afterwards it is the reconstruction, which the caller makes
  // the reference. `steps`: q of the layers; between keyframes, layers before the last one that
  // have nothing to code are left out. `offsets`: one per window, or empty: all 0. `tells_motion`:
  // between keyframes, whether the motion is among the symbols.
  EncodedPicture encode(const Frame& source, const std::vector<int>& steps,
                        std::span<const int16_t> offsets, bool keyframe, bool tells_motion = true);

 private:
  struct Layer {
    int q = 0;
    LayerPlace place;
    bool keyframe = false;
    bool tells_motion = false;
    bool last = false;
    bool blank = false;  // nothing is known yet: the first layer of a keyframe without a base
  };

  void encode_base(const Frame& source, int q, EncodedPicture& picture);

  bool choose_tokens(const Frame& source, const Layer& layer);
  void encode_tokens(const Frame& source, const Layer& layer);
  bool relist_tokens(const Layer& layer);
  bool refine_tokens(const Frame& source, const Layer& layer);
  void keep_latents(const std::vector<TokenPosition>& before);
  void settle(const Frame& source, const Layer& layer, double lambda);
  void settle_bits(const Layer& layer, double latent_per_bit);
  int flag_type(const Layer& layer) const {
    return state_.flag_type(layer.keyframe, !layer.place.later, layer.last);
  }
  void write_symbols(const Layer& layer);
  void count(EncodedPicture& picture) const;
  void note(const Frame& source, const Layer& layer);

  PictureState& state_;
  TokenizerEncoder tokenizer_;
  const Tuning& tuning_;
  const int preset_;
  std::unique_ptr<PictureEncoder> base_;
  Frame base_source_;
  std::vector<LayerTrace>* trace_ = nullptr;
  std::vector<std::unique_ptr<EncCoder>> coders_;  // one per block
  DifferenceField differences_;
  std::vector<int16_t> residual_;
  std::vector<int8_t> latents_;  // of the active tokens
  std::vector<uint64_t> bills_;  // of the active tokens, in 2^-24 bits
};

}  // namespace bsq
