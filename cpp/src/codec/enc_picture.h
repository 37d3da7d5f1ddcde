// Encodes one picture into the payloads of a packet.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/plane.h"
#include "codec/enc_coder.h"
#include "codec/picture_state.h"
#include "network/tokenizer.h"

namespace bsq {

struct EncodedPicture {
  std::vector<std::vector<uint8_t>> payloads;  // one per block
  SymbolCosts costs;
  int64_t tokens = 0;
  int64_t coded_tokens = 0;
  int64_t coded_stages = 0;
};

class PictureEncoder {
 public:
  // `state` must outlive the encoder. `refine`: check tokens by their true distortion.
  PictureEncoder(PictureState& state, std::shared_ptr<const Networks> networks, bool refine);

  // state.current holds the prediction; afterwards it is the reconstruction, which the caller makes
  // the reference. `steps`: c of every layer.
  EncodedPicture encode(const Frame& source, const std::vector<int>& steps, bool keyframe);

 private:
  void choose_tokens(const Frame& source, int c, bool first_of_keyframe);
  void encode_tokens(const Frame& source, int c);
  bool refine_tokens(const Frame& source, int c, double lambda);
  void bill_tokens();
  void write_symbols(bool with_motion);
  void count(EncodedPicture& picture) const;

  PictureState& state_;
  TokenizerEncoder tokenizer_;
  const bool refine_;
  std::vector<std::unique_ptr<EncCoder>> coders_;  // one per block
  std::vector<int16_t> residual_;
  std::vector<uint32_t> bits_;
  std::vector<uint64_t> bills_;  // of the active tokens, in 2^-24 bits
};

}  // namespace bsq
