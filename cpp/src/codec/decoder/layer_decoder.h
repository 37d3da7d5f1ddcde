// The layers of one packet, or of its base frame: symbols by tile, networks over the whole
// frame. Once for every state that holds the frames: LayerState, or one on a device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/quant_step.h"
#include "base/section_clock.h"
#include "codec/common/layer_state_base.h"
#include "codec/common/symbols.h"
#include "codec/decoder/frame_decoder.h"
#include "codec/decoder/symbol_decoder.h"
#include "network/token_steps.h"

namespace bsq {

struct LayerList {
  bool keyframe = false;
  bool has_motion = false;  // in the state already, not among the symbols
  std::span<const uint16_t> steps;
};

// A state for LayerDecoder has a function
//
//   decode_bits(state, type, for_each_tile)
//
// that decodes step 3 of a layer; for_each_tile(fn) calls fn(tile, coder) for every tile.
struct EachTile {
  template <class Fn>
  void operator()(const Fn& fn) const;
};
template <class State>
concept LayerDecodingState =
    LayerCodingState<State> && requires(State& state, int type, const EachTile& each_tile) {
      decode_bits(state, type, each_tile);
    };

template <LayerDecodingState State>
class LayerDecoder {
 public:
  // All arguments must outlive the object. `is_base`: the base frame of `coded`.
  LayerDecoder(State& state, const LayerList& list, const CodedFrame& coded, bool is_base)
      : state_(state), list_(list), coded_(coded), is_base_(is_base), coders_(*coded.coders) {
    coders_.clear();
    for (const std::span<const uint8_t> payload : payloads()) coders_.emplace_back(payload);
  }

  // `layers`: takes the tokens of every layer, or null.
  void decode(std::vector<TokenField>* layers) {
    for (size_t i = 0; i < list_.steps.size(); ++i) {
      layer(i);
      if (layers != nullptr) layers->push_back(state_.coded_tokens());
    }
    if (!is_base_) {
      each_tile([&](auto& tile, SymbolDecoder& coder) {
        code_wiener(coder, tile.contexts.wiener, tile.area, state_.geometry().plane_count,
                    list_.keyframe, tile.wiener);
      });
    }
    for (size_t i = 0; i < coders_.size(); ++i) {
      if (!coders_[i].ended()) coders_[i].check_end(place(i).c_str());
    }
    state_.deblock(q_of_c(list_.steps.back()));
    if (!is_base_) state_.filter();
  }

 private:
  void layer(size_t index) {
    const bool keyframe = list_.keyframe;
    const bool first = index == 0;
    const int c = list_.steps[index];
    const int q = q_of_c(c);
    const bool moves = first && !keyframe;
    const int type = flag_type(keyframe, index + 1 == list_.steps.size());
    const LayerClass kind{keyframe, !first, type};
    if (moves) read_motion();
    if (first && !is_base_) read_samples();
    each_tile([&](auto& tile, SymbolDecoder& coder) {
      code_superblocks(coder, tile.contexts, state_.geometry(), tile.area, kind,
                       state_.superblocks);
    });
    state_.list_active(q, {first && keyframe, !first, c - list_.steps.back()});
    state_.run_trunk();
    state_.tokens.clear();
    each_tile([&](auto& tile, SymbolDecoder& coder) {
      code_stage_counts(coder, tile.contexts, state_.geometry(), tile.rect, kind, state_.active,
                        state_.flag_logits.data(), state_.tokens, state_.superblocks);
    });
    state_.begin_bits();
    decode_bits(state_, type, [&](const auto& fn) { each_tile(fn); });
    state_.end_layer(q, false);
  }

  // The motion of all tiles, and the prediction that it gives.
  void read_motion() {
    if (!list_.has_motion) {
      each_tile([&](auto& tile, SymbolDecoder& coder) {
        code_motion(coder, tile.contexts.motion, tile.area, state_.motion);
      });
    }
    state_.compensate();
  }

  // Which tokens are sample-coded, and their samples.
  void read_samples() {
    each_tile([&](auto& tile, SymbolDecoder& coder) {
      SampleMarkCoder(coder, tile.contexts.samples, state_.geometry(), tile.area, list_.keyframe,
                      state_.sample_coded)
          .code();
    });
    if (!state_.has_samples()) return;
    Frame& frame = state_.host_samples();
    each_tile([&](auto& tile, SymbolDecoder& coder) {
      if (!has_marks(state_.geometry(), tile.rect, state_.sample_coded)) return;
      SampleCoder(coder, tile.contexts.samples.own_model(), state_.geometry(), tile.rect,
                  !list_.keyframe, state_.sample_coded, frame)
          .code([](const SampleGuess&, int, int, int) { return uint16_t{0}; });
    });
    state_.store_samples();
  }

  template <class Fn>
  void each_tile(const Fn& fn) {
    const SectionScope scope(Section::kRangeCoding);
    state_.for_each_tile([&](auto& tile, size_t i) {
      try {
        fn(tile, coders_[i]);
      } catch (const Error& error) {
        throw Error(error.status(), place(i) + ": " + error.what());
      }
    });
  }

  const PayloadSpans& payloads() const {
    return is_base_ ? coded_.data->base_payloads : coded_.data->payloads;
  }
  // Of a tile, with which messages begin.
  std::string place(size_t tile) const {
    const auto byte = static_cast<size_t>(payloads()[tile].data() - coded_.packet);
    return coded_.what + (is_base_ ? ", base frame" : "") + ", byte " + std::to_string(byte) +
           ", tile " + std::to_string(tile);
  }

  State& state_;
  const LayerList list_;
  const CodedFrame& coded_;
  const bool is_base_;
  std::vector<SymbolDecoder>& coders_;  // by tile
};

// A frame: see FrameDecoder::decode() in frame_decoder.h.
template <LayerDecodingState State>
void decode_layers(State& state, const CodedFrame& coded, std::vector<TokenField>* layers) {
  const ComponentHeader& header = coded.data->header;
  if (layers != nullptr) layers->clear();
  state.begin_frame(coded.role);
  if (header.first_motion) {
    take_motion(coded.first->motion(), state.geometry().narrower, state.motion.field);
  }
  if (header.base.layers > 0) {
    State& small = *state.base();
    small.begin_frame(FrameRole());
    const std::span<const uint16_t> steps = header.base.steps;
    const LayerList list{true, false, steps.first(static_cast<size_t>(header.base.layers))};
    LayerDecoder(small, list, coded, true).decode(nullptr);
    state.predict_from_base();
  }
  const std::span<const uint16_t> steps = header.steps;
  const LayerList list{coded.role.keyframe, header.first_motion,
                       steps.first(static_cast<size_t>(header.layers))};
  LayerDecoder(state, list, coded, false).decode(layers);
}

}  // namespace bsq
