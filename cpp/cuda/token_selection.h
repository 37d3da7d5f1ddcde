// Token selection on a device, for LayerEncoder (codec/encoder/layer_encoder.h).
//
// Tokens and bits are chosen by kernels and stay on the device; the host learns which superblocks
// are active and how many stages tokens have, which it needs for its lists, and in the end the bits
// and their logits, to code them.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "codec/encoder/layer_encoder.h"
#include "codec/encoder/mode/wiener_decision.h"
#include "cuda/device_state.h"

namespace bsq::cuda {

class DeviceTokenSelection {
 public:
  DeviceTokenSelection(DeviceState& state, const Tuning& tuning);

  // The frame to choose for.
  void set_source(const Planes& source) { source_ = source; }
  // The same on the host, for filters; it must outlive the choice.
  void set_host_source(const Frame& source) { host_source_ = &source; }
  const Frame& host_source() const { return *host_source_; }

  // See codec/encoder/token_selection_concept.h.
  static constexpr bool kTraces = false;
  void begin_frame() const {}
  void shrink_to(DeviceTokenSelection& base);
  bool find_coded_tokens(int q, double energy);
  void analyse(int q);
  void mark_superblocks();
  // Latents are found by the place of their token, residuals are not kept.
  void keep_analysis(const std::vector<TokenPosition>&) const {}
  void run_trunk() { state_.queue_trunk(); }
  void rdoq(const Layer& layer, double latent_per_bit);
  void begin_trials();
  void begin_trial();
  void end_trial(const Layer& layer);
  void respond(const Layer& layer, double latent_per_bit);
  void end_trials();
  bool zero_out(const Layer& layer);
  void begin_symbols();
  template <TokenCoder Coder>
  void code_bits(Coder& coder, LogitCorrections& corrections, SymbolTile&, size_t tile) {
    coder.tokens();
    if (state_.active.count() == 0) return;
    std::vector<uint8_t>& bytes = bytes_[tile];
    for (int group = 0; group < kGroups; ++group) {
      for (int stage = 0; stage < state_.tokens.max_stages; ++stage) {
        const GroupPrior::StageRows rows = state_.prior().stage_rows(group, stage, tile);
        if (rows.tokens.empty()) break;
        bytes.resize(rows.tokens.size());
        for (int j = 0; j < kSubgroups; ++j) {
          const size_t at = rows.logits_at + static_cast<size_t>(j) * rows.stride;
          code_subgroup(coder, corrections, state_.active, rows.tokens, stage, j,
                        logits_.data() + at, state_.weights().pair(stage * kSubgroups + j),
                        state_.tokens, bytes.data());
        }
      }
    }
  }
  void end_layer() const {}
  void choose_filters(int q, bool keyframe);

 private:
  StepTable steps(int q) const;
  TokenDistortion distortion(int q) const;
  TokenCoding trial() const;
  void queue_marks();
  void fetch_marks();
  void send_corrections(int type);
  void copy_tokens(const TokenArrays& from, const TokenArrays& to);

  // Tokens of a way to code a layer.
  struct Kept {
    DeviceArray<uint8_t> stages;
    DeviceArray<uint32_t> bits;
    TokenArrays arrays() const { return {stages.data(), bits.data()}; }
  };
  Kept make_kept() const;
  void make_trials();

  DeviceState& state_;
  Device& device_;
  const Tuning& tuning_;
  Planes source_{};
  const Frame* host_source_ = nullptr;
  std::unique_ptr<DeviceFrame> own_source_;  // of a base frame
  Mirror<uint8_t> superblocks_;
  HostArray<uint8_t> stages_;  // by place
  HostArray<uint32_t> bits_;
  Mirror<uint8_t> changed_;
  Mirror<int32_t> corrections_;  // [tiles, 32 S]
  DeviceArray<int32_t> latent_rows_;
  DeviceArray<uint64_t> token_rates_;
  Mirror<int16_t> logits_;
  std::vector<std::vector<uint8_t>> bytes_;  // of a sub-group, by tile
  bool marked_ = false;                      // the marks have been fetched since tokens changed

  // The host chooses filters. Made when they are first needed.
  struct Filters {
    explicit Filters(const Geometry& g) : decoded(g.make_frame()), planes(g) {}
    Frame decoded;
    WienerFilter planes;
    WienerDecision decision;
  };
  std::unique_ptr<Filters> filters_;

  // For trials; made when they are first needed.
  Kept raw_;
  Kept best_;
  DeviceArray<int16_t> best_output_;
  DeviceArray<uint64_t> best_rates_;
  bool tried_ = false;  // best_ holds a trial
};

static_assert(TokenSelection<DeviceTokenSelection, DeviceState>);

}  // namespace bsq::cuda
