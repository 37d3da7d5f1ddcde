// What a layer was made of, for the training of networks on the encoder's own decisions.
#pragma once

#include <cstdint>
#include <vector>

#include "base/plane.h"
#include "network/samples.h"
#include "network/token_field.h"

namespace bsq {

struct LayerTrace {
  Frame source;      // of the coded size, as is the prediction
  Frame prediction;  // what the layer starts from
  TokenField tokens;
  TokenField previous;                   // those that the prior knows
  std::vector<int16_t> q;                // per token
  std::vector<int16_t> prediction_side;  // [tokens, kPredictionSide]
  LayerPlace place;
  bool keyframe = false;
};

}  // namespace bsq
