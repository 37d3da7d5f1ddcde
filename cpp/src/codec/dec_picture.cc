// Decoding of one packet's payloads: symbols by block, networks over the whole picture.
#include "codec/dec_picture.h"

#include <vector>

#include "codec/dec_coder.h"

namespace bsq {
namespace {

class PictureDecoder {
 public:
  PictureDecoder(PictureState& state, std::span<const std::span<const uint8_t>> payloads,
                 const uint8_t* packet, const std::string& what)
      : state_(state) {
    for (size_t i = 0; i < payloads.size(); ++i) {
      coders_.emplace_back(payloads[i]);
      const auto byte = static_cast<size_t>(payloads[i].data() - packet);
      places_.push_back(what + ", byte " + std::to_string(byte) + ", block " + std::to_string(i));
    }
  }

  void layer(const PacketHeader& header, int index) {
    const bool keyframe = header.keyframe;
    const bool first = index == 0;
    const int c = header.steps[static_cast<size_t>(index)];
    const int q = c + state_.step_offset();
    MotionSymbols* motion = first && !keyframe ? &state_.motion : nullptr;
    const int type = state_.flag_type(keyframe, first, index + 1 == header.layers);
    each_block([&](BlockState& block, DecCoder& coder) {
      code_windows(coder, block.models, state_.geometry(), block.area, motion, type,
                   state_.windows);
    });
    if (motion != nullptr) state_.compensate();
    const int last = header.steps[static_cast<size_t>(header.layers - 1)];
    state_.list_active(q, {first && keyframe, !first, c - last});
    state_.run_trunk();
    state_.tokens.clear();
    each_block([&](BlockState& block, DecCoder& coder) {
      code_stage_counts(coder, state_.layer_models(block, type), block.rect, state_.active,
                        state_.flag_logits.data(), state_.tokens);
    });
    state_.begin_bits();
    each_block([&](BlockState& block, DecCoder& coder) {
      code_token_bits(coder, state_.layer_models(block, type), block.prior, state_.active,
                      state_.tokens);
    });
    state_.end_layer(q, false);
  }

  void check_end() const {
    for (size_t i = 0; i < coders_.size(); ++i) coders_[i].check_end(places_[i].c_str());
  }

 private:
  template <class Fn>
  void each_block(const Fn& fn) {
    state_.for_each_block([&](BlockState& block, size_t i) {
      try {
        fn(block, coders_[i]);
      } catch (const Error& error) {
        throw Error(error.status(), places_[i] + ": " + error.what());
      }
    });
  }

  PictureState& state_;
  std::vector<DecCoder> coders_;
  std::vector<std::string> places_;
};

}  // namespace

void decode_picture(PictureState& state, const PacketHeader& header,
                    std::span<const std::span<const uint8_t>> payloads, const uint8_t* packet,
                    const std::string& what, std::vector<TokenField>* layers) {
  if (layers != nullptr) layers->clear();
  if (header.keyframe) state.begin_keyframe();
  PictureDecoder decoder(state, payloads, packet, what);
  for (int i = 0; i < header.layers; ++i) {
    decoder.layer(header, i);
    if (layers != nullptr) layers->push_back(state.coded_tokens());
  }
  decoder.check_end();
}

}  // namespace bsq
