// Between sample planes and the vectors of networks: docs/numerics.md sections 3 and 4.
//
// Frames are padded to whole tokens. Gray frames have one plane; networks then read the middle
// value for chroma, and their chroma output is dropped.
#pragma once

#include <cstdint>
#include <span>

#include "base/plane.h"
#include "base/thread_pool.h"
#include "network/token_field.h"
#include "network/token_steps.h"

namespace bsq {

// The place of a layer in its packet.
struct LayerPlace {
  bool first_of_keyframe = false;
  bool later = false;  // not the first of its packet
  int above = 0;       // its q minus that of the packet's last layer
};

inline constexpr size_t kPredictionSide = 2;

// Side vectors [active.count(), 104] of a layer. `prediction_side`: of every token of the frame the
// values that say how good its prediction is, [tokens, kPredictionSide]; empty: all are 0.
void side_vectors(const Frame& prediction, const ActiveTokens& active, const TokenSteps& steps,
                  const LayerPlace& place, std::span<const int16_t> prediction_side,
                  ThreadPool& pool, int16_t* out);

// Residual vectors [active.count(), 96]: (source - prediction) / step. Encoder only. Both frames
// have the same size, depth and planes.
void residual_vectors(const Frame& source, const Frame& prediction, const ActiveTokens& active,
                      const TokenSteps& steps, ThreadPool& pool, int16_t* out);

// Writes prediction + step * output at the active tokens of `frame`, which holds the prediction
// before the call. `output` is [active.count(), 96].
void reconstruct(const int16_t* output, const ActiveTokens& active, const TokenSteps& steps,
                 ThreadPool& pool, Frame& frame);

// The same for one token, from and to single squares: `samples` holds the prediction of 96 samples
// in the order of the vectors (raster luma, first chroma, second chroma) and receives the
// reconstruction; q of its luma and its chroma. For decisions in the encoder.
void reconstruct_token(const int16_t* output, int q_luma, int q_chroma, int bit_depth,
                       uint16_t* samples);

}  // namespace bsq
