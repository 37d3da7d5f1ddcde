// Token selection on the processor, for LayerEncoder: which tokens are coded, and with which bits.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/plane.h"
#include "codec/common/layer_state.h"
#include "codec/encoder/mode/decisions.h"
#include "codec/encoder/mode/layer.h"
#include "codec/encoder/mode/layer_trace.h"
#include "codec/encoder/mode/token_decision.h"
#include "codec/encoder/mode/token_samples.h"
#include "codec/encoder/mode/wiener_decision.h"
#include "network/tokenizer.h"

namespace bsq {

class CpuTokenSelection {
 public:
  CpuTokenSelection(LayerState& state, const Tuning& tuning, const NetworkSets& networks);

  // The frame to choose for; it must outlive the choice.
  void set_source(const Frame& source) { source_ = &source; }

  // See codec/encoder/token_selection_concept.h.
  static constexpr bool kTraces = true;
  const Frame& host_source() const { return *source_; }
  void begin_frame();
  void shrink_to(CpuTokenSelection& base);
  bool find_coded_tokens(int q, double energy);
  void analyse(int q);
  void mark_superblocks();
  void keep_analysis(const std::vector<TokenPosition>& before);
  void run_trunk() { state_.run_trunk(); }
  void rdoq(const Layer& layer, double latent_per_bit);
  void begin_trials();
  void begin_trial();
  void end_trial(const Layer& layer);
  void end_trials();
  void respond(const Layer& layer, double latent_per_bit);
  bool zero_out(const Layer& layer);
  void begin_symbols() { state_.begin_bits(); }
  template <TokenCoder Coder>
  void code_bits(Coder& coder, LogitCorrections& corrections, TileState& tile, size_t) {
    code_token_bits(coder, corrections, *tile.prior, state_.active, state_.tokens);
  }
  void end_layer();
  void choose_filters(int q, bool keyframe);
  LayerTrace trace(int q, const LayerPlace& place) const;

 private:
  LayerInput layer_input(int q) const;
  RdInput rd_input(const Layer& layer) const;

  LayerState& state_;
  TokenizerEncoder keyframes_;
  TokenizerEncoder predicted_;
  TokenizerResponse keyframe_response_;
  TokenizerResponse predicted_response_;
  const Tuning& tuning_;
  const Frame* source_ = nullptr;
  Frame base_source_;  // of a base frame
  WienerDecision filters_;
  DifferenceField differences_;
  std::vector<int16_t> residual_;
  std::vector<int8_t> latents_;        // of the active tokens
  std::vector<uint64_t> token_rates_;  // of the active tokens, in 2^-24 bits
  TokenField raw_;                     // before trials
  TokenCoding trial_;
  TokenCoding best_;
};

}  // namespace bsq
