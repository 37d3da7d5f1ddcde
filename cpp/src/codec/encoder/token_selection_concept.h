// What LayerEncoder asks of a selection of tokens, as a concept: one on the processor
// (CpuTokenSelection), one on a device (cpp/cuda).
#pragma once

#include <concepts>
#include <cstddef>
#include <vector>

#include "codec/common/symbols.h"
#include "codec/encoder/mode/layer.h"
#include "codec/encoder/symbol_encoder.h"

namespace bsq {

// Of the tokens of a `State`: see codec/common/layer_state.h. In the order of a layer.
template <class S, class State>
concept TokenSelection = requires(S s, S& base, const Layer& layer, int q, double number, bool flag,
                                  const std::vector<TokenPosition>& listed) {
  // Whether it has a trace() of layers.
  { S::kTraces } -> std::convertible_to<bool>;
  // The frame to choose for, in the host's memory.
  { s.host_source() } -> std::same_as<const Frame&>;
  s.begin_frame();
  // Makes the source of the base frame's selection.
  s.shrink_to(base);
  // Coded-token decision at q: gives a stage to the tokens whose energy is at least `number`, and
  // marks superblocks. Whether there are any.
  { s.find_coded_tokens(q, number) } -> std::same_as<bool>;
  // The tokenizer's bits of these tokens.
  s.analyse(q);
  // Sets the active superblocks: those of which a token has stages.
  s.mark_superblocks();
  // The active tokens are no longer `listed`, which analyse() saw.
  s.keep_analysis(listed);
  // That of the state; may go on while the host does.
  s.run_trunk();
  // RDO quantization: chooses the bits of every token by their latents and rates. `number`: by how
  // many units of a latent a bit of rate moves the threshold.
  s.rdoq(layer, number);
  // RD trials: several rdoq(), of which each token keeps the one of lowest cost.
  s.begin_trials();
  s.begin_trial();
  s.end_trial(layer);
  // New latents from the error that the best trial so far leaves. `number`: as for rdoq().
  s.respond(layer, number);
  s.end_trials();
  // Takes the stages from tokens that cost less without. Whether there are such.
  { s.zero_out(layer) } -> std::same_as<bool>;
  // All is chosen.
  s.begin_symbols();
  // After the state's.
  s.end_layer();
  // After the last layer and deblocking: sets the tiles' choices of Wiener filters. `q`: of that
  // layer; `flag`: in a keyframe.
  s.choose_filters(q, flag);
} && requires(S s, State state, SymbolEncoder& coder, LogitCorrections& corrections, size_t tile) {
  // Step 3 of the layer in a tile.
  s.code_bits(coder, corrections, state.tiles[tile], tile);
};

}  // namespace bsq
