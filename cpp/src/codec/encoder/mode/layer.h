// The quality layer that the encoder works on.
#pragma once

#include "codec/encoder/mode/decisions.h"
#include "network/samples.h"

namespace bsq {

// In squared steps for a bit.
inline double layer_lambda(bool keyframe) {
  return keyframe ? kDecisions.keyframe_lambda : kDecisions.lambda;
}

// A layer as it is about to be encoded.
struct Layer {
  int q = 0;
  LayerPlace place;
  bool keyframe = false;
  bool first = false;  // of its frame
  bool tells_motion = false;
  bool last = false;
  bool blank = false;  // nothing is known yet: the first layer of a keyframe without a base
  int type = 0;        // t of the flags' context
  // In squared steps for a bit.
  double lambda() const { return layer_lambda(keyframe); }
};

}  // namespace bsq
