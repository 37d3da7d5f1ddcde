// Decoding of frames on the processor.
#include "codec/decoder/frame_decoder.h"

#include <memory>
#include <vector>

#include "codec/common/frame_io.h"
#include "codec/common/layer_state.h"
#include "codec/decoder/layer_decoder.h"

namespace bsq {

// Step 3 of a layer, for LayerDecoder: each tile has its own prior.
template <class Loop>
void decode_bits(LayerState& state, int type, const Loop& each_tile) {
  each_tile([&](TileState& tile, SymbolDecoder& coder) {
    code_token_bits(coder, tile.contexts.of_type(type), *tile.prior, state.active, state.tokens);
  });
}

namespace {

class CpuFrameDecoder : public FrameDecoder {
 public:
  CpuFrameDecoder(const Geometry& geometry, const Model& model, const KernelTable& kernels,
                  ThreadPool& pool)
      : state_(geometry, model.networks(kernels), pool) {}

  void decode(const CodedFrame& coded, std::vector<TokenField>* layers) override {
    decode_layers(state_, coded, layers);
  }
  void end_frame() override { state_.end_frame(); }
  const MotionField& motion() const override { return state_.motion.field; }
  const TokenField& coded_tokens() const override { return state_.coded_tokens(); }
  void present(int slot) override { shown_ = state_.share(slot); }
  void show(bsq_frame& frame) override {
    buffer_.export_frame(shown_->frame, state_.geometry(), frame);
  }

 private:
  LayerState state_;
  std::shared_ptr<const LayerState::Held> shown_;
  FrameBuffer buffer_;
};

}  // namespace

FrameDecoderFactory decode_on_cpu(const KernelTable& kernels) {
  return [&kernels](const Geometry& geometry, const Model& model, ThreadPool& pool) {
    return std::make_unique<CpuFrameDecoder>(geometry, model, kernels, pool);
  };
}

}  // namespace bsq
