// Decoding of pictures on the processor.
#include "codec/decoder/frame_decoder.h"

#include <vector>

#include "codec/common/frame_io.h"
#include "codec/common/layer_state.h"
#include "codec/decoder/layer_decoder.h"

namespace bsq {
namespace {

class ProcessorPictures : public PictureDecoder {
 public:
  ProcessorPictures(const Geometry& geometry, const Model& model, const KernelTable& kernels,
                    ThreadPool& pool)
      : state_(geometry, model.networks(kernels), pool) {}

  size_t block_count() const override { return state_.blocks.size(); }
  size_t base_block_count() const override { return state_.base()->blocks.size(); }
  void decode(const CodedPicture& coded, std::vector<TokenField>* layers) override {
    decode_layers(state_, coded, layers);
  }
  void end_picture() override { state_.end_picture(); }
  const MotionField& motion() const override { return state_.motion.field; }
  const TokenField& coded_tokens() const override { return state_.coded_tokens(); }
  void show(bsq_picture& picture) override {
    buffer_.export_frame(state_.reference, state_.geometry(), picture);
  }

 private:
  PictureState state_;
  PictureBuffer buffer_;
};

}  // namespace

// Step 3 of a layer, for LayerDecoder: each block has its own prior.
template <class Loop>
void decode_bits(PictureState& state, int type, const Loop& each_block) {
  each_block([&](BlockState& block, DecCoder& coder) {
    code_token_bits(coder, block.models.of_type(type), block.prior, state.active, state.tokens);
  });
}

PictureDecoderFactory decode_on_processor(const KernelTable& kernels) {
  return [&kernels](const Geometry& geometry, const Model& model, ThreadPool& pool) {
    return std::make_unique<ProcessorPictures>(geometry, model, kernels, pool);
  };
}

}  // namespace bsq
