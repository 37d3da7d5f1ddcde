// The layers of one picture, or of its base picture: which there are, in what order they are
// chosen, checked and written. Once for every kind of state that holds the pictures: PictureState,
// or one on a device.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/stage_clock.h"
#include "bsq/bsq.h"
#include "codec/common/symbols.h"
#include "codec/encoder/frame_encoder.h"
#include "codec/encoder/mode/decisions.h"
#include "codec/encoder/mode/layer.h"
#include "codec/encoder/mode/layer_schedule.h"
#include "codec/encoder/mode/layer_trace.h"
#include "codec/encoder/symbol_encoder.h"

namespace bsq {

// A state has what PictureState has. Choices, made from a state and what else the encoder hands
// over, choose the state's tokens:
//
//   begin_picture()
//   shrink_to(choices)          makes the source of the base picture's choices
//   find_candidates(q, energy)  gives a stage to the tokens that may have bits, and marks windows;
//                               returns whether there are any
//   analyse(q)                  the encoder network's bits of the candidates
//   mark_windows()              sets the active windows: those of which a token has stages
//   keep_latents(before)        the active tokens are no longer those that analyse() saw
//   run_trunk()                 of the state; may go on while the host does
//   settle(layer, price)        chooses the bits of every token by their latents and costs
//   begin_trials(), begin_trial(), end_trial(layer), end_trials()
//                               around several settle() of which each token takes the best
//   drop(layer)                 takes the stages from tokens that are not worth their bits;
//                               returns whether there are such
//   begin_symbols()             all is chosen
//   code_bits(coder, corrections, block, i)   step 3 of block i
//   end_layer()                 after the state's
//   kTraces, trace(q, place)    whether there is a LayerTrace to be had, and where there is, it
template <class State, class Choices>
class LayerEncoder {
 public:
  // `state` must outlive the object; so must what the choices are made from.
  template <class... Parts>
  LayerEncoder(State& state, const EncodingStyle& style, Parts&... parts)
      : state_(state), choices_(state, style.tuning, parts...), style_(style) {
    if (state.base() == nullptr) return;
    if (static_cast<int>(state.geometry().tokens()) < kDecisions.base_tokens) return;
    base_ = std::make_unique<LayerEncoder>(*state.base(), style, parts...);
  }

  Choices& choices() { return choices_; }
  bool has_base() const { return base_ != nullptr; }
  void trace(std::vector<LayerTrace>* layers) {
    trace_ = layers;
    if (base_) base_->trace(layers);
  }

  // The state holds the prediction; afterwards it holds the reconstruction. The choices know the
  // source.
  const EncodedPicture& encode(const LayerPlan& plan) {
    begin();
    const bool based = plan.keyframe && has_base();
    if (based) encode_base(plan.steps.back());
    std::copy(plan.offsets.begin(), plan.offsets.end(), state_.windows.offset.begin());
    choices_.begin_picture();
    for (const int q : plan.steps) {
      const bool first = picture_.steps.empty();
      const bool last = q == plan.steps.back();
      encode_layer({q,
                    {plan.keyframe && first, !first, q - plan.steps.back()},
                    plan.keyframe,
                    first && !plan.keyframe && plan.tells_motion,
                    last,
                    plan.keyframe && first && !based,
                    flag_type(plan.keyframe, last)});
    }
    state_.keep_offsets();
    state_.filter(plan.steps.back(), plan.keyframe);
    for (const auto& coder : coders_) {
      picture_.costs += coder->costs();
      picture_.payloads.push_back(coder->finish());
    }
    return picture_;
  }

 private:
  void begin() {
    state_.begin_picture();
    picture_.payloads.clear();
    picture_.base_payloads.clear();
    picture_.steps = picture_.base_steps = {};
    picture_.costs = {};
    picture_.tokens = picture_.coded_tokens = picture_.coded_stages = 0;
    while (coders_.size() < state_.blocks.size()) {
      coders_.push_back(std::make_unique<EncCoder>());
    }
    // A picture that failed has left some.
    for (const auto& coder : coders_) coder->finish();
  }

  // Codes the base picture of a keyframe that ends at step q, and predicts the keyframe from it.
  void encode_base(int q) {
    choices_.shrink_to(base_->choices());
    state_.base()->begin_keyframe();
    const EncodedPicture& base = base_->encode({base_steps(q), {}, true});
    picture_.base_payloads = base.payloads;
    picture_.base_steps = base.steps;
    picture_.costs += base.costs;
    state_.predict_from_base();
  }

  void encode_layer(const Layer& layer) {
    const bool optional = !layer.keyframe && !layer.last;
    if (!choose_tokens(layer) && optional) return;
    encode_tokens(layer);
    const bool decoded = refine_tokens(layer);
    if (optional && state_.active.count() == 0) return;
    write_symbols(layer);
    if constexpr (Choices::kTraces) {
      if (trace_ != nullptr) trace_->push_back(choices_.trace(layer.q, layer.place));
    }
    count();
    state_.end_layer(layer.q, decoded);
    choices_.end_layer();
    picture_.steps.push_back(layer.q);
  }

  // Returns whether any token may have bits.
  bool choose_tokens(const Layer& layer) {
    const StageScope scope(Stage::kDeciding);
    const double energy = layer.blank  ? 0.0
                          : layer.last ? style_.tuning.token_energy
                                       : kDecisions.coarse_energy;
    const bool any = choices_.find_candidates(layer.q, energy);
    state_.list_active(layer.q, layer.place);
    return any;
  }

  // Lists the tokens anew if windows are no longer active. Returns whether they are not.
  bool relist_tokens(const Layer& layer) {
    before_ = state_.windows.active;
    choices_.mark_windows();
    if (state_.windows.active == before_) return false;
    state_.list_active(layer.q, layer.place);
    return true;
  }

  // The networks' bits of the candidates, and the trunk on the tokens that have any.
  void encode_tokens(const Layer& layer) {
    const StageScope scope(Stage::kDeciding);
    if (state_.active.count() == 0) return;
    choices_.analyse(layer.q);
    listed_ = state_.active.tokens();
    if (relist_tokens(layer)) choices_.keep_latents(listed_);
    choices_.run_trunk();
  }

  // Returns whether the decoder network's output stands for the tokens as they are.
  bool refine_tokens(const Layer& layer) {
    const StageScope scope(Stage::kDeciding);
    if (style_.preset == BSQ_PRESET_FAST || state_.active.count() == 0) return false;
    const double price = style_.tuning.latent_per_bit;
    if (style_.preset != BSQ_PRESET_SLOW || layer.blank) {
      choices_.settle(layer, price);
    } else {
      choices_.begin_trials();
      for (const double factor : kDecisions.price_factors) {
        choices_.begin_trial();
        choices_.settle(layer, price * factor);
        state_.run_decoder();
        choices_.end_trial(layer);
      }
      choices_.end_trials();
    }
    state_.run_decoder();
    const bool changed = !layer.blank && choices_.drop(layer);
    const bool relisted = relist_tokens(layer);
    if (relisted) choices_.run_trunk();
    return !changed && !relisted;
  }

  void write_symbols(const Layer& layer) {
    const StageScope scope(Stage::kRangeCoding);
    choices_.begin_symbols();
    const WindowLayer windows{layer.tells_motion ? &state_.motion : nullptr, layer.type,
                              layer.keyframe};
    state_.for_each_block([&](auto& block, size_t i) {
      EncCoder& coder = *coders_[i];
      code_windows(coder, block.models, state_.geometry(), block.area, windows, state_.windows);
      LogitCorrections& corrections = block.models.of_type(layer.type);
      code_stage_counts(coder, corrections, block.rect, state_.active, state_.flag_logits.data(),
                        state_.tokens);
      choices_.code_bits(coder, corrections, block, i);
    });
  }

  void count() {
    picture_.tokens += static_cast<int64_t>(state_.tokens.stages.size());
    for (const uint8_t stages : state_.tokens.stages) {
      picture_.coded_tokens += stages != 0 ? 1 : 0;
      picture_.coded_stages += stages;
    }
  }

  State& state_;
  Choices choices_;
  const EncodingStyle style_;
  std::unique_ptr<LayerEncoder> base_;
  std::vector<LayerTrace>* trace_ = nullptr;
  std::vector<std::unique_ptr<EncCoder>> coders_;  // one per block
  std::vector<uint8_t> before_;                    // active windows
  std::vector<TokenPosition> listed_;
  EncodedPicture picture_;
};

}  // namespace bsq
