// Which tokens are sample-coded, and with which samples: text and what else is drawn. Not
// normative.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/plane.h"
#include "base/thread_pool.h"
#include "codec/common/geometry.h"
#include "codec/common/layer_state_base.h"
#include "codec/common/sample_symbols.h"
#include "codec/encoder/mode/drawn_tokens.h"
#include "codec/encoder/mode/sample_recorder.h"
#include "network/token_steps.h"

namespace bsq {

// A frame before its layers are coded.
struct SampleInput {
  const Frame& source;
  const Frame* prediction;  // null in a keyframe
  TokenSteps steps;         // of the last layer
  double lambda;            // in squared steps for a bit
  ThreadPool& pool;
};

class SampleDecision {
 public:
  explicit SampleDecision(const Geometry& geometry);

  // Looks at the source of a frame.
  void find(const Frame& source, ThreadPool& pool) { drawn_.find(source, pool); }
  const DrawnTokens& drawn() const { return drawn_; }
  // After find(): what the tokens cost otherwise. Returns whether there still may be such.
  bool measure(const SampleInput& input);
  // After that, for every tile: sets the marks of its tokens.
  void choose(const SampleInput& input, const SymbolTile& tile, size_t index,
              std::vector<uint8_t>& marks);
  // Codes the samples of the marked tokens of a tile into `frame`, which holds the prediction, and
  // keeps the symbols.
  void code(const SampleInput& input, const std::vector<uint8_t>& marks, SymbolTile& tile,
            size_t index, Frame& frame);
  // Writes them.
  template <SymbolCoder Coder>
  void write(size_t tile, Coder& coder) const {
    tiles_[tile]->recorder.write(coder);
  }

 private:
  using Kind = DrawnTokens::Kind;

  struct TileWork {
    explicit TileWork(size_t tokens) : token_rates(tokens), recorder(token_rates) {}
    std::vector<uint64_t> token_rates;  // of the frame's tokens, in 2^-24 bits
    SampleRecorder recorder;
    SampleModel model;  // of trials
  };

  double cost_otherwise(const SampleInput& input, int x, int y) const;
  double gain(const SampleInput& input, const Frame& coded, int x, int y, uint64_t rate) const;
  void spread(const SymbolTile& tile, std::vector<uint8_t>& marks) const;
  void complete(const SymbolTile& tile, std::vector<uint8_t>& marks) const;

  const Geometry& geometry_;
  DrawnTokens drawn_;
  std::vector<double> errors_;  // squared steps that tokens cost without samples of their own
  Frame trial_;
  std::vector<std::unique_ptr<TileWork>> tiles_;
};

}  // namespace bsq
