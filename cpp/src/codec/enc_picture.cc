// Encoding of one picture: decisions, networks, symbols, reconstruction, layer by layer.
#include "codec/enc_picture.h"

#include <algorithm>
#include <utility>

#include "codec/enc_decide.h"
#include "network/samples.h"

namespace bsq {

PictureEncoder::PictureEncoder(PictureState& state, std::shared_ptr<const Networks> networks,
                               bool refine)
    : state_(state), tokenizer_(std::move(networks), state.pool()), refine_(refine) {}

EncodedPicture PictureEncoder::encode(const Frame& source, const std::vector<int>& steps,
                                      bool keyframe) {
  EncodedPicture picture;
  coders_.clear();
  for (size_t i = 0; i < state_.blocks.size(); ++i) coders_.push_back(std::make_unique<EncCoder>());
  const double lambda = keyframe ? kDecisions.keyframe_lambda : kDecisions.lambda;
  for (size_t i = 0; i < steps.size(); ++i) {
    const bool first = i == 0;
    choose_tokens(source, steps[i], keyframe && first);
    encode_tokens(source, steps[i]);
    state_.run_trunk();
    const bool decoded = !(keyframe && first) && refine_tokens(source, steps[i], lambda);
    write_symbols(first && !keyframe);
    count(picture);
    state_.end_layer(steps[i], decoded);
  }
  for (const auto& coder : coders_) {
    picture.costs += coder->costs();
    picture.payloads.push_back(coder->finish());
  }
  return picture;
}

void PictureEncoder::choose_tokens(const Frame& source, int c, bool first_of_keyframe) {
  choose_stages(source, state_.current, c, first_of_keyframe ? 1 : 0, state_.pool(), state_.tokens);
  mark_windows(state_.tokens, state_.geometry(), state_.windows.active);
  state_.list_active(c, first_of_keyframe);
}

void PictureEncoder::encode_tokens(const Frame& source, int c) {
  const ActiveTokens& active = state_.active;
  const auto count = static_cast<size_t>(active.count());
  if (count == 0) return;
  residual_.resize(count * kSampleVector);
  bits_.resize(count * kStages);
  residual_vectors(source, state_.current, active, c, state_.pool(), residual_.data());
  tokenizer_.encode(active, residual_.data(), state_.side.data(), bits_.data());
  for (size_t i = 0; i < count; ++i) {
    const TokenPosition at = active.tokens()[i];
    std::copy_n(&bits_[i * kStages], kStages,
                &state_.tokens.bits[state_.tokens.at(at.y, at.x) * kStages]);
  }
}

// Returns whether the decoder network's output stands for the tokens as they are.
bool PictureEncoder::refine_tokens(const Frame& source, int c, double lambda) {
  if (!refine_) return false;
  state_.run_decoder();
  if (state_.active.count() == 0) return true;
  bill_tokens();
  if (!drop_tokens(source, state_.current, state_.output.data(), bills_, state_.active, c, lambda,
                   state_.pool(), state_.tokens)) {
    return true;
  }
  const std::vector<uint8_t> before = state_.windows.active;
  mark_windows(state_.tokens, state_.geometry(), state_.windows.active);
  if (state_.windows.active != before) {
    state_.list_active(c, false);
    state_.run_trunk();
  }
  return false;
}

// What the bits of every active token would cost.
void PictureEncoder::bill_tokens() {
  bills_.assign(static_cast<size_t>(state_.active.count()), 0);
  state_.begin_bits();
  state_.for_each_block([&](BlockState& block, size_t) {
    BillCoder coder(bills_);
    code_token_bits(coder, block.prior, state_.active, state_.tokens);
  });
}

void PictureEncoder::write_symbols(bool with_motion) {
  state_.begin_bits();
  MotionSymbols* motion = with_motion ? &state_.motion : nullptr;
  state_.for_each_block([&](BlockState& block, size_t i) {
    EncCoder& coder = *coders_[i];
    code_windows(coder, block.models, state_.geometry(), block.area, motion, state_.windows);
    code_stage_counts(coder, block.rect, state_.active, state_.flag_logits.data(), state_.tokens);
    code_token_bits(coder, block.prior, state_.active, state_.tokens);
  });
}

void PictureEncoder::count(EncodedPicture& picture) const {
  picture.tokens += static_cast<int64_t>(state_.tokens.stages.size());
  for (const uint8_t stages : state_.tokens.stages) {
    picture.coded_tokens += stages != 0 ? 1 : 0;
    picture.coded_stages += stages;
  }
}

}  // namespace bsq
