// The layers of one frame, or of its base frame: which there are, in what order they are
// chosen, checked and written. Once for every kind of state that holds the frames: LayerState,
// or one on a device.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/section_clock.h"
#include "bsq/bsq.h"
#include "codec/common/layer_state_base.h"
#include "codec/common/symbols.h"
#include "codec/encoder/frame_encoder.h"
#include "codec/encoder/mode/decisions.h"
#include "codec/encoder/mode/layer.h"
#include "codec/encoder/mode/layer_schedule.h"
#include "codec/encoder/mode/layer_trace.h"
#include "codec/encoder/mode/sample_decision.h"
#include "codec/encoder/symbol_encoder.h"
#include "codec/encoder/token_selection_concept.h"

namespace bsq {

// `Selection` decides on the tokens of the state.
template <LayerCodingState State, TokenSelection<State> Selection>
class LayerEncoder {
 public:
  // `state` must outlive the object; so must what the selection is made from.
  template <class... Parts>
  LayerEncoder(State& state, const EncodingStyle& style, Parts&... parts)
      : state_(state), selection_(state, style.tuning, parts...), style_(style) {
    if (state.base() == nullptr) return;
    if (style.screen_content) {
      samples_ = std::make_unique<SampleDecision>(state.geometry());
    }
    if (static_cast<int>(state.geometry().tokens()) < kDecisions.base_tokens) return;
    base_ = std::make_unique<LayerEncoder>(*state.base(), style, parts...);
  }

  Selection& selection() { return selection_; }
  bool has_base() const { return base_ != nullptr; }
  void trace(std::vector<LayerTrace>* layers) {
    trace_ = layers;
    if (base_) base_->trace(layers);
  }

  // A frame begins, of which the selection knows the source. Returns whether it is a screen.
  bool begin_frame() {
    if (samples_ == nullptr) return false;
    samples_->find(selection_.host_source(), state_.pool());
    return samples_->drawn().is_screen();
  }

  // The state holds the prediction; afterwards it holds the reconstruction. The selection knows the
  // source.
  const EncodedFrame& encode(const LayerPlan& plan) {
    begin();
    std::copy(plan.delta_q.begin(), plan.delta_q.end(), state_.superblocks.delta_q.begin());
    choose_samples(plan);
    const bool based = plan.keyframe && has_base();
    if (based) encode_base(plan.steps.back());
    code_samples(plan);
    selection_.begin_frame();
    for (const int q : plan.steps) {
      const bool first = frame_.steps.empty();
      const bool last = q == plan.steps.back();
      encode_layer({q,
                    {plan.keyframe && first, !first, q - plan.steps.back()},
                    plan.keyframe,
                    first,
                    first && !plan.keyframe && plan.tells_motion,
                    last,
                    plan.keyframe && first && !based,
                    flag_type(plan.keyframe, last)});
    }
    state_.keep_delta_q();
    state_.deblock(plan.steps.back());
    if (!is_base()) filter(plan);
    for (const auto& coder : coders_) {
      frame_.costs += coder->costs();
      frame_.payloads.push_back(coder->finish());
    }
    return frame_;
  }

 private:
  bool is_base() const { return state_.base() == nullptr; }

  void begin() {
    frame_.payloads.clear();
    frame_.base_payloads.clear();
    frame_.steps = frame_.base_steps = {};
    frame_.costs = {};
    frame_.tokens = frame_.coded_tokens = frame_.coded_stages = 0;
    while (coders_.size() < state_.tiles.size()) {
      coders_.push_back(std::make_unique<SymbolEncoder>());
    }
    // A frame that failed has left some.
    for (const auto& coder : coders_) coder->finish();
  }

  // `prediction`: not of a keyframe, or null.
  SampleInput sample_input(const LayerPlan& plan, const Frame* prediction) {
    return {selection_.host_source(),
            prediction,
            {plan.steps.back(), state_.geometry().chroma_crf_offset,
             state_.superblocks.delta_q.data(), state_.geometry().superblocks_x},
            layer_lambda(plan.keyframe),
            state_.pool()};
  }

  // Marks the tokens whose samples are coded themselves.
  void choose_samples(const LayerPlan& plan) {
    const SectionScope scope(Section::kDeciding);
    std::fill(state_.sample_coded.begin(), state_.sample_coded.end(), uint8_t{0});
    if (samples_ == nullptr || !samples_->drawn().is_screen()) return;
    const SampleInput input = sample_input(plan, plan.keyframe ? nullptr : &state_.host_samples());
    if (!samples_->measure(input)) return;
    state_.for_each_tile(
        [&](auto& tile, size_t i) { samples_->choose(input, tile, i, state_.sample_coded); });
  }

  // Replaces their prediction by their samples.
  void code_samples(const LayerPlan& plan) {
    const SectionScope scope(Section::kDeciding);
    if (!state_.has_samples()) return;
    Frame& frame = state_.host_samples();
    const SampleInput input = sample_input(plan, plan.keyframe ? nullptr : &frame);
    state_.for_each_tile([&](auto& tile, size_t i) {
      if (!has_marks(state_.geometry(), tile.rect, state_.sample_coded)) return;
      samples_->code(input, state_.sample_coded, tile, i, frame);
    });
    state_.store_samples();
  }

  // Codes the base frame of a keyframe that ends at step q, and predicts the keyframe from it.
  void encode_base(int q) {
    selection_.shrink_to(base_->selection());
    state_.base()->begin_frame(FrameRole());
    const EncodedFrame& base = base_->encode({base_frame_layers(q), {}, true});
    frame_.base_payloads = base.payloads;
    frame_.base_steps = base.steps;
    frame_.costs += base.costs;
    state_.predict_from_base();
  }

  void encode_layer(const Layer& layer) {
    const bool optional = !layer.keyframe && !layer.last;
    if (!choose_tokens(layer) && optional) return;
    encode_tokens(layer);
    const bool decoded = refine_tokens(layer);
    if (optional && state_.active.count() == 0) return;
    write_symbols(layer);
    if constexpr (Selection::kTraces) {
      if (trace_ != nullptr) trace_->push_back(selection_.trace(layer.q, layer.place));
    }
    count();
    state_.end_layer(layer.q, decoded);
    selection_.end_layer();
    frame_.steps.push_back(layer.q);
  }

  // Returns whether any token may have bits.
  bool choose_tokens(const Layer& layer) {
    const SectionScope scope(Section::kDeciding);
    const double energy = layer.blank  ? 0.0
                          : layer.last ? style_.tuning.token_energy
                                       : kDecisions.coarse_energy;
    const bool any = selection_.find_coded_tokens(layer.q, energy);
    state_.list_active(layer.q, layer.place);
    return any;
  }

  // Lists the tokens anew if superblocks are no longer active. Returns whether they are not.
  bool relist_tokens(const Layer& layer) {
    before_ = state_.superblocks.active;
    selection_.mark_superblocks();
    if (state_.superblocks.active == before_) return false;
    state_.list_active(layer.q, layer.place);
    return true;
  }

  // The networks' bits of the coded tokens, and the trunk on the tokens that have any.
  void encode_tokens(const Layer& layer) {
    const SectionScope scope(Section::kDeciding);
    if (state_.active.count() == 0) return;
    selection_.analyse(layer.q);
    listed_ = state_.active.tokens();
    if (relist_tokens(layer)) selection_.keep_analysis(listed_);
    selection_.run_trunk();
  }

  // Returns whether the decoder network's output stands for the tokens as they are.
  bool refine_tokens(const Layer& layer) {
    const SectionScope scope(Section::kDeciding);
    if (style_.preset == BSQ_PRESET_FAST || state_.active.count() == 0) return false;
    if (layer.blank) {
      selection_.rdoq(layer, style_.tuning.latent_per_bit);
    } else {
      selection_.begin_trials();
      for (const Trial& trial : trials_of(layer)) try_bits(layer, trial);
      selection_.end_trials();
    }
    state_.run_decoder();
    const bool changed = !layer.blank && selection_.zero_out(layer);
    const bool relisted = relist_tokens(layer);
    if (relisted) selection_.run_trunk();
    return !changed && !relisted;
  }

  void try_bits(const Layer& layer, const Trial& trial) {
    const double latent_per_bit = style_.tuning.latent_per_bit;
    if (trial.latents == Trial::Latents::kResponse) selection_.respond(layer, latent_per_bit);
    selection_.begin_trial();
    selection_.rdoq(layer, latent_per_bit * trial.factor);
    state_.run_decoder();
    selection_.end_trial(layer);
  }

  // Keyframes are few, and everything after them is predicted from them.
  std::span<const Trial> trials_of(const Layer& layer) const {
    if (style_.preset == BSQ_PRESET_SLOW || layer.keyframe) return kDecisions.many_trials;
    return kDecisions.few_trials;
  }

  void write_symbols(const Layer& layer) {
    const SectionScope scope(Section::kRangeCoding);
    selection_.begin_symbols();
    const LayerClass kind{layer.keyframe, layer.place.later, layer.type};
    state_.for_each_tile([&](auto& tile, size_t i) {
      SymbolEncoder& coder = *coders_[i];
      if (layer.tells_motion) {
        code_motion(coder, tile.contexts.motion, tile.area, state_.motion);
      }
      if (layer.first && !is_base()) write_samples(coder, tile, i, layer.keyframe);
      code_superblocks(coder, tile.contexts, state_.geometry(), tile.area, kind,
                       state_.superblocks);
      code_stage_counts(coder, tile.contexts, state_.geometry(), tile.rect, kind, state_.active,
                        state_.flag_logits.data(), state_.tokens, state_.superblocks);
      selection_.code_bits(coder, tile.contexts.of_type(layer.type), tile, i);
    });
  }

  template <class Tile>
  void write_samples(SymbolEncoder& coder, Tile& tile, size_t i, bool keyframe) {
    SampleMarkCoder marks(coder, tile.contexts.samples, state_.geometry(), tile.area, keyframe,
                          state_.sample_coded);
    if (marks.code()) samples_->write(i, coder);
  }

  // Chooses Wiener filters for the deblocked frame, and applies them.
  void filter(const LayerPlan& plan) {
    {
      const SectionScope scope(Section::kDeciding);
      selection_.choose_filters(plan.steps.back(), plan.keyframe);
    }
    state_.for_each_tile([&](auto& tile, size_t i) {
      code_wiener(*coders_[i], tile.contexts.wiener, tile.area, state_.geometry().plane_count,
                  plan.keyframe, tile.wiener);
    });
    state_.filter();
  }

  void count() {
    frame_.tokens += static_cast<int64_t>(state_.tokens.stages.size());
    for (const uint8_t stages : state_.tokens.stages) {
      frame_.coded_tokens += stages != 0 ? 1 : 0;
      frame_.coded_stages += stages;
    }
  }

  State& state_;
  Selection selection_;
  const EncodingStyle style_;
  std::unique_ptr<LayerEncoder> base_;
  std::unique_ptr<SampleDecision> samples_;  // not of base frames
  std::vector<LayerTrace>* trace_ = nullptr;
  std::vector<std::unique_ptr<SymbolEncoder>> coders_;  // one per tile
  std::vector<uint8_t> before_;                         // active superblocks
  std::vector<TokenPosition> listed_;
  EncodedFrame frame_;
};

}  // namespace bsq
