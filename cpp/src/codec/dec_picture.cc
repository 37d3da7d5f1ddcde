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

  void layer(int c, bool keyframe, bool first) {
    MotionSymbols* motion = first && !keyframe ? &state_.motion : nullptr;
    each_block([&](BlockState& block, DecCoder& coder) {
      code_windows(coder, block.models, state_.geometry(), block.area, motion, state_.windows);
    });
    if (motion != nullptr) state_.compensate();
    state_.list_active(c, first && keyframe);
    state_.run_trunk();
    state_.tokens.clear();
    each_block([&](BlockState& block, DecCoder& coder) {
      code_stage_counts(coder, block.rect, state_.active, state_.flag_logits.data(), state_.tokens);
    });
    state_.begin_bits();
    each_block([&](BlockState& block, DecCoder& coder) {
      code_token_bits(coder, block.prior, state_.active, state_.tokens);
    });
    state_.end_layer(c, false);
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
                    const std::string& what) {
  if (header.keyframe) state.begin_keyframe();
  PictureDecoder decoder(state, payloads, packet, what);
  for (int i = 0; i < header.layers; ++i) {
    decoder.layer(header.steps[static_cast<size_t>(i)], header.keyframe, i == 0);
  }
  decoder.check_end();
}

}  // namespace bsq
