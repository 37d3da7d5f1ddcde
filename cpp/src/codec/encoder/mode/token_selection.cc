// Token selection on the processor.
#include "codec/encoder/mode/token_selection.h"

#include <algorithm>
#include <utility>

#include "base/section_clock.h"
#include "codec/common/base_frame.h"
#include "codec/encoder/mode/quantization.h"
#include "codec/encoder/mode/rdoq_coder.h"
#include "network/response.h"
#include "network/samples.h"

namespace bsq {

CpuTokenSelection::CpuTokenSelection(LayerState& state, const Tuning& tuning,
                                     const NetworkSets& networks)
    : state_(state),
      keyframes_(networks.keyframes, state.pool()),
      predicted_(networks.predicted, state.pool()),
      keyframe_response_(networks.keyframes, state.pool()),
      predicted_response_(networks.predicted, state.pool()),
      tuning_(tuning) {}

void CpuTokenSelection::begin_frame() { differences_.reset(state_.geometry().tokens()); }

void CpuTokenSelection::shrink_to(CpuTokenSelection& base) {
  const Geometry& g = base.state_.geometry();
  if (base.base_source_.plane_count == 0) base.base_source_ = g.make_frame();
  shrink(*source_, g, state_.pool(), base.base_source_);
  if (state_.has_samples()) {
    fill_sample_coded(*source_, g, state_.sample_coded, base.base_source_);
  }
  base.set_source(base.base_source_);
}

LayerInput CpuTokenSelection::layer_input(int q) const {
  return {*source_, state_.current, state_.steps(q), state_.pool()};
}

RdInput CpuTokenSelection::rd_input(const Layer& layer) const {
  return {layer_input(layer.q), state_.active, tuning_, layer.lambda()};
}

bool CpuTokenSelection::find_coded_tokens(int q, double energy) {
  const bool any = bsq::find_coded_tokens(layer_input(q), energy, state_.sample_coded, differences_,
                                          state_.tokens);
  mark_superblocks();
  return any;
}

void CpuTokenSelection::choose_filters(int q, bool keyframe) {
  filters_.measure(*source_, state_.prepare_filter(), state_.geometry(), state_.sample_coded,
                   state_.pool());
  state_.for_each_tile([&](TileState& tile, size_t i) { filters_.choose(q, keyframe, tile, i); });
}

void CpuTokenSelection::mark_superblocks() {
  bsq::mark_superblocks(state_.tokens, state_.geometry(), state_.superblocks.active);
}

void CpuTokenSelection::analyse(int q) {
  const ActiveTokens& active = state_.active;
  const auto count = static_cast<size_t>(active.count());
  TokenField& tokens = state_.tokens;
  const int bits = tokens.max_stages * kStageBits;
  residual_.resize(count * kSampleVector);
  latents_.resize(count * static_cast<size_t>(bits));
  {
    const SectionScope inner(Section::kSamples, count);
    residual_vectors(*source_, state_.current, active, state_.steps(q), state_.pool(),
                     residual_.data());
  }
  TokenizerEncoder& tokenizer = state_.role().keyframe ? keyframes_ : predicted_;
  tokenizer.encode(active, residual_.data(), state_.side.data(), latents_.data());
  state_.pool().parallel_for(count, [&](size_t i) {
    const TokenPosition at = active.tokens()[i];
    const size_t token = tokens.at(at.y, at.x);
    if (tokens.stages[token] == 0) return;
    const int8_t* z = &latents_[i * static_cast<size_t>(bits)];
    uint32_t* words = tokens.words(token);
    for (int s = 0; s < tokens.max_stages; ++s, z += kStageBits) words[s] = signs(z);
    tokens.stages[token] = static_cast<uint8_t>(count_stages(words, tokens.max_stages));
  });
}

// Takes what analyse() found of tokens that are no longer listed out.
void CpuTokenSelection::keep_analysis(const std::vector<TokenPosition>& before) {
  const auto bits = static_cast<size_t>(state_.tokens.max_stages * kStageBits);
  const auto move = [](auto& rows, size_t from, size_t to, size_t width) {
    if (from != to) std::copy_n(&rows[from * width], width, &rows[to * width]);
  };
  size_t kept = 0;
  for (size_t i = 0; i < before.size(); ++i) {
    if (state_.active.index(before[i].y, before[i].x) < 0) continue;
    move(latents_, i, kept, bits);
    move(residual_, i, kept, size_t{kSampleVector});
    ++kept;
  }
}

void CpuTokenSelection::rdoq(const Layer& layer, double latent_per_bit) {
  token_rates_.assign(static_cast<size_t>(state_.active.count()), 0);
  state_.begin_bits();
  const auto stride = static_cast<size_t>(state_.tokens.max_stages * kStageBits);
  state_.for_each_tile([&](TileState& tile, size_t) {
    RdoqCoder coder(latents_, stride, latent_per_bit, token_rates_);
    code_token_bits(coder, tile.contexts.of_type(layer.type), *tile.prior, state_.active,
                    state_.tokens);
  });
  TokenField& tokens = state_.tokens;
  for (size_t i = 0; i < tokens.stages.size(); ++i) {
    const int n = count_stages(tokens.words(i), tokens.stages[i]);
    tokens.stages[i] = static_cast<uint8_t>(n);
  }
}

void CpuTokenSelection::begin_trials() {
  raw_ = state_.tokens;
  best_.token_rates.clear();
}

void CpuTokenSelection::begin_trial() { state_.tokens = raw_; }

void CpuTokenSelection::end_trial(const Layer& layer) {
  TokenCoding& choice = best_.token_rates.empty() ? best_ : trial_;
  choice.tokens = state_.tokens;
  choice.output = state_.output;
  choice.token_rates = token_rates_;
  if (&choice == &best_) return;
  keep_lower_cost(rd_input(layer), choice, best_);
}

void CpuTokenSelection::respond(const Layer& layer, double latent_per_bit) {
  TokenizerResponse& response = state_.role().keyframe ? keyframe_response_ : predicted_response_;
  response.latents(state_.active, best_.tokens, residual_.data(), best_.output.data(),
                   response_per_unit(latent_per_bit, layer.lambda()), latents_.data());
}

void CpuTokenSelection::end_trials() {
  std::swap(state_.tokens, best_.tokens);
  std::swap(token_rates_, best_.token_rates);
}

bool CpuTokenSelection::zero_out(const Layer& layer) {
  return zero_out_tokens(rd_input(layer), {state_.output.data(), token_rates_}, state_.tokens);
}

void CpuTokenSelection::end_layer() {
  for (const TokenPosition at : state_.active.tokens()) {
    differences_.stale[state_.geometry().token_index(at.x, at.y)] = 1;
  }
}

LayerTrace CpuTokenSelection::trace(int q, const LayerPlace& place) const {
  const TokenSteps steps = state_.steps(q);
  LayerTrace trace{*source_,
                   state_.current,
                   state_.tokens,
                   state_.coded_tokens(),
                   std::vector<int16_t>(state_.tokens.stages.size()),
                   state_.prediction_side(),
                   place,
                   state_.role().keyframe};
  for (int y = 0; y < trace.tokens.height; ++y) {
    for (int x = 0; x < trace.tokens.width; ++x) {
      trace.q[trace.tokens.at(y, x)] = static_cast<int16_t>(steps.at(y, x));
    }
  }
  return trace;
}

}  // namespace bsq
