// Encoding of one picture: decisions, networks, symbols, reconstruction, layer by layer.
#include "codec/enc_picture.h"

#include <algorithm>
#include <utility>

#include "base/stage_clock.h"
#include "codec/base_picture.h"
#include "codec/enc_decide.h"
#include "network/samples.h"

namespace bsq {

namespace {

// Bit i is 1 where z[i] is not negative.
uint32_t signs(const int8_t z[kStageBits]) {
  uint32_t word = 0;
  for (int i = 0; i < kStageBits; ++i) word |= static_cast<uint32_t>(z[i] >= 0) << i;
  return word;
}

}  // namespace

PictureEncoder::PictureEncoder(PictureState& state, const std::shared_ptr<const Networks>& networks,
                               const Tuning& tuning, int preset)
    : state_(state), tokenizer_(networks, state.pool()), tuning_(tuning), preset_(preset) {
  if (state.base() == nullptr) return;
  if (static_cast<int>(state.geometry().tokens()) < kDecisions.base_tokens) return;
  base_ = std::make_unique<PictureEncoder>(*state.base(), networks, tuning, preset);
  base_source_ = state.base()->geometry().make_frame();
}

void PictureEncoder::trace(std::vector<LayerTrace>* layers) {
  trace_ = layers;
  if (base_) base_->trace(layers);
}

// Codes the base picture of a keyframe that ends at step q, and predicts the keyframe from it.
void PictureEncoder::encode_base(const Frame& source, int q, EncodedPicture& picture) {
  PictureState& small = *state_.base();
  shrink(source, small.geometry(), state_.pool(), base_source_);
  small.begin_keyframe();
  EncodedPicture base = base_->encode(base_source_, base_steps(q), {}, true);
  picture.base_payloads = std::move(base.payloads);
  picture.base_steps = std::move(base.steps);
  picture.costs += base.costs;
  state_.predict_from_base();
}

EncodedPicture PictureEncoder::encode(const Frame& source, const std::vector<int>& steps,
                                      std::span<const int16_t> offsets, bool keyframe,
                                      bool tells_motion) {
  EncodedPicture picture;
  state_.begin_picture();
  const bool based = keyframe && has_base();
  if (based) encode_base(source, steps.back(), picture);
  if (state_.windows.has_offsets) {
    std::copy(offsets.begin(), offsets.end(), state_.windows.offset.begin());
  }
  differences_.reset(state_.geometry().tokens());
  coders_.clear();
  for (size_t i = 0; i < state_.blocks.size(); ++i) coders_.push_back(std::make_unique<EncCoder>());
  for (const int q : steps) {
    const bool first = picture.steps.empty();
    const Layer layer{q,
                      {keyframe && first, !first, q - steps.back()},
                      keyframe,
                      first && !keyframe && tells_motion,
                      q == steps.back(),
                      keyframe && first && !based};
    const bool optional = !keyframe && !layer.last;
    if (!choose_tokens(source, layer) && optional) continue;
    encode_tokens(source, layer);
    const bool decoded = refine_tokens(source, layer);
    if (optional && state_.active.count() == 0) continue;
    write_symbols(layer);
    if (trace_ != nullptr) note(source, layer);
    count(picture);
    state_.end_layer(q, decoded);
    for (const TokenPosition at : state_.active.tokens()) {
      differences_.stale[state_.geometry().token_index(at.x, at.y)] = 1;
    }
    picture.steps.push_back(q);
  }
  state_.keep_offsets();
  state_.filter(steps.back(), keyframe);
  for (const auto& coder : coders_) {
    picture.costs += coder->costs();
    picture.payloads.push_back(coder->finish());
  }
  return picture;
}

// Returns whether any token may have bits.
bool PictureEncoder::choose_tokens(const Frame& source, const Layer& layer) {
  const StageScope scope(Stage::kDeciding);
  const double energy = layer.blank  ? 0.0
                        : layer.last ? tuning_.token_energy
                                     : kDecisions.coarse_energy;
  const bool any = find_candidates(source, state_.current, state_.steps(layer.q), energy,
                                   state_.pool(), differences_, state_.tokens);
  mark_windows(state_.tokens, state_.geometry(), state_.windows.active);
  state_.list_active(layer.q, layer.place);
  return any;
}

// Lists the tokens anew if windows are no longer active. Returns whether they are not.
bool PictureEncoder::relist_tokens(const Layer& layer) {
  const std::vector<uint8_t> before = state_.windows.active;
  mark_windows(state_.tokens, state_.geometry(), state_.windows.active);
  if (state_.windows.active == before) return false;
  state_.list_active(layer.q, layer.place);
  return true;
}

// The networks' bits of the candidates, and the trunk on the tokens that have any.
void PictureEncoder::encode_tokens(const Frame& source, const Layer& layer) {
  const StageScope scope(Stage::kDeciding);
  const ActiveTokens& active = state_.active;
  const auto count = static_cast<size_t>(active.count());
  if (count == 0) return;
  TokenField& tokens = state_.tokens;
  const int bits = tokens.max_stages * kStageBits;
  residual_.resize(count * kSampleVector);
  latents_.resize(count * static_cast<size_t>(bits));
  {
    const StageScope inner(Stage::kSamples, count);
    residual_vectors(source, state_.current, active, state_.steps(layer.q), state_.pool(),
                     residual_.data());
  }
  tokenizer_.encode(active, residual_.data(), state_.side.data(), latents_.data());
  for (size_t i = 0; i < count; ++i) {
    const TokenPosition at = active.tokens()[i];
    const size_t token = tokens.at(at.y, at.x);
    if (tokens.stages[token] == 0) continue;
    const int8_t* z = &latents_[i * static_cast<size_t>(bits)];
    uint32_t* words = tokens.words(token);
    for (int s = 0; s < tokens.max_stages; ++s, z += kStageBits) words[s] = signs(z);
    tokens.stages[token] = static_cast<uint8_t>(count_stages(words, tokens.max_stages));
  }
  const std::vector<TokenPosition> before = active.tokens();
  if (relist_tokens(layer)) keep_latents(before);
  state_.run_trunk();
}

// Takes the latents of tokens that are no longer listed out.
void PictureEncoder::keep_latents(const std::vector<TokenPosition>& before) {
  const auto bits = static_cast<size_t>(state_.tokens.max_stages * kStageBits);
  size_t kept = 0;
  for (size_t i = 0; i < before.size(); ++i) {
    if (state_.active.index(before[i].y, before[i].x) < 0) continue;
    if (kept != i) std::copy_n(&latents_[i * bits], bits, &latents_[kept * bits]);
    ++kept;
  }
}

// Returns whether the decoder network's output stands for the tokens as they are.
bool PictureEncoder::refine_tokens(const Frame& source, const Layer& layer) {
  const StageScope scope(Stage::kDeciding);
  if (preset_ == BSQ_PRESET_FAST || state_.active.count() == 0) return false;
  const double lambda = layer.keyframe ? kDecisions.keyframe_lambda : kDecisions.lambda;
  settle(source, layer, lambda);
  state_.run_decoder();
  bool changed = false;
  if (!layer.blank) {
    changed = drop_tokens(source, state_.current, state_.output.data(), bills_, state_.active,
                          state_.steps(layer.q), tuning_, lambda, state_.pool(), state_.tokens);
  }
  const bool relisted = relist_tokens(layer);
  if (relisted) state_.run_trunk();
  return !changed && !relisted;
}

// Settles the bits at the usual price; slowly, at several, and takes for every token the one that
// serves it best.
void PictureEncoder::settle(const Frame& source, const Layer& layer, double lambda) {
  if (preset_ != BSQ_PRESET_SLOW || layer.blank) {
    settle_bits(layer, tuning_.latent_per_bit);
    return;
  }
  const TokenField raw = state_.tokens;
  TokenChoice best;
  for (const double factor : kDecisions.price_factors) {
    state_.tokens = raw;
    settle_bits(layer, tuning_.latent_per_bit * factor);
    state_.run_decoder();
    TokenChoice choice{state_.tokens, state_.output, bills_};
    if (best.bills.empty()) {
      best = std::move(choice);
    } else {
      take_better(source, state_.current, choice, state_.active, state_.steps(layer.q), tuning_,
                  lambda, state_.pool(), best);
    }
  }
  state_.tokens = std::move(best.tokens);
  bills_ = std::move(best.bills);
}

// Chooses the bits of every active token by their latents and costs, and bills the token for them.
void PictureEncoder::settle_bits(const Layer& layer, double latent_per_bit) {
  bills_.assign(static_cast<size_t>(state_.active.count()), 0);
  state_.begin_bits();
  const auto stride = static_cast<size_t>(state_.tokens.max_stages * kStageBits);
  const int type = flag_type(layer);
  state_.for_each_block([&](BlockState& block, size_t) {
    BillCoder coder(latents_, stride, latent_per_bit, bills_);
    code_token_bits(coder, state_.layer_models(block, type), block.prior, state_.active,
                    state_.tokens);
  });
  TokenField& tokens = state_.tokens;
  for (size_t i = 0; i < tokens.stages.size(); ++i) {
    const int n = count_stages(tokens.words(i), tokens.stages[i]);
    tokens.stages[i] = static_cast<uint8_t>(n);
  }
}

void PictureEncoder::write_symbols(const Layer& layer) {
  const StageScope scope(Stage::kRangeCoding);
  state_.begin_bits();
  MotionSymbols* motion = layer.tells_motion ? &state_.motion : nullptr;
  const int type = flag_type(layer);
  const WindowLayer windows{motion, type, layer.keyframe};
  state_.for_each_block([&](BlockState& block, size_t i) {
    EncCoder& coder = *coders_[i];
    code_windows(coder, block.models, state_.geometry(), block.area, windows, state_.windows);
    const LayerModels models = state_.layer_models(block, type);
    code_stage_counts(coder, models, block.rect, state_.active, state_.flag_logits.data(),
                      state_.tokens);
    code_token_bits(coder, models, block.prior, state_.active, state_.tokens);
  });
}

void PictureEncoder::note(const Frame& source, const Layer& layer) {
  const TokenSteps steps = state_.steps(layer.q);
  LayerTrace trace{source,
                   state_.current,
                   state_.tokens,
                   state_.coded_tokens(),
                   std::vector<int16_t>(state_.tokens.stages.size()),
                   layer.place};
  for (int y = 0; y < trace.tokens.height; ++y) {
    for (int x = 0; x < trace.tokens.width; ++x) {
      trace.q[trace.tokens.at(y, x)] = static_cast<int16_t>(steps.at(y, x));
    }
  }
  trace_->push_back(std::move(trace));
}

void PictureEncoder::count(EncodedPicture& picture) const {
  picture.tokens += static_cast<int64_t>(state_.tokens.stages.size());
  for (const uint8_t stages : state_.tokens.stages) {
    picture.coded_tokens += stages != 0 ? 1 : 0;
    picture.coded_stages += stages;
  }
}

}  // namespace bsq
