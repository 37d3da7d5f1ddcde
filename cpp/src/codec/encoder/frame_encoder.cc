// Encoding of frames on the processor.
#include "codec/encoder/frame_encoder.h"

#include <array>
#include <utility>

#include "base/section_clock.h"
#include "codec/common/layer_state.h"
#include "codec/encoder/layer_encoder.h"
#include "codec/encoder/mode/motion_estimation.h"
#include "codec/encoder/mode/screen_motion.h"
#include "codec/encoder/mode/token_selection.h"
#include "motion/search.h"
#include "motion/search_reference.h"

namespace bsq {
namespace {

int64_t squared_error(const ConstPlaneView& a, const ConstPlaneView& b, int width, int height) {
  int64_t sum = 0;
  for (int row = 0; row < height; ++row) {
    for (int i = 0; i < width; ++i) {
      const int d = a.row(row)[i] - b.row(row)[i];
      sum += d * d;
    }
  }
  return sum;
}

static_assert(TokenSelection<CpuTokenSelection, LayerState>);

class CpuFrameEncoder : public FrameEncoder {
 public:
  CpuFrameEncoder(const Geometry& geometry, const NetworkSets& networks, const EncodingStyle& style,
                  ThreadPool& pool)
      : state_(geometry, networks, pool), layers_(state_, style, networks) {}

  const Geometry& geometry() const override { return state_.geometry(); }
  bool has_base() const override { return layers_.has_base(); }
  std::span<const int16_t> delta_q() const override { return state_.superblocks.delta_q; }
  void trace(std::vector<LayerTrace>* layers) override { layers_.trace(layers); }

  void begin(const Frame& source, const FrameRole& role) override {
    source_ = &source;
    layers_.selection().set_source(source);
    state_.begin_frame(role);
    screen_.begin(source, layers_.begin_frame(), state_.pool());
  }
  void predict(int q, int range) override {
    const FrameRole& role = state_.role();
    const SearchReference& first = reference(role.first);
    MotionSearchConfig config = motion_config(q, range, role.distances);
    if (role.is_b()) {
      config.shifts = {screen_.shifts(role.first), screen_.shifts(role.second)};
      estimate_b_motion(b_search_, *source_, {&first, &reference(role.second)}, config, state_);
    } else {
      config.shifts[0] = screen_.shifts(role.first);
      estimate_motion(search_, *source_, first, config, state_);
    }
    state_.compensate();
  }
  void predict_as(const MotionField& first) override {
    take_motion(first, geometry().narrower, state_.motion.field);
    state_.compensate();
  }
  const MotionField& motion() const override { return state_.motion.field; }
  const Frame& prediction() override { return state_.current; }
  const EncodedFrame& encode(const LayerPlan& plan) override { return layers_.encode(plan); }
  int64_t luma_error(const Frame& original) override {
    return squared_error(original.planes[0].view(), state_.current.planes[0].view(),
                         geometry().width, geometry().height);
  }
  void end_frame() override {
    const FrameRole& role = state_.role();
    if (role.keyframe) filled_ = {};
    if (role.hold >= 0) filled_[static_cast<size_t>(role.hold)] = false;
    screen_.end_frame(role);
    state_.end_frame();
  }
  const Frame& frame(int slot) override { return state_.held(slot)->frame; }

 private:
  // What searches keep of the frame in the slot.
  const SearchReference& reference(int slot) {
    const auto at = static_cast<size_t>(slot);
    if (!std::exchange(filled_[at], true)) {
      const SectionScope scope(Section::kMotionSearch);
      references_[at].fill(state_.held(slot)->frame, search_kernels(state_.kernels()),
                           state_.pool());
    }
    return references_[at];
  }

  LayerState state_;
  LayerEncoder<LayerState, CpuTokenSelection> layers_;
  MotionSearch search_;
  BMotionSearch b_search_;
  ScreenMotion screen_;
  std::array<SearchReference, kSlots> references_;  // by slot
  std::array<bool, kSlots> filled_{};
  const Frame* source_ = nullptr;
};

}  // namespace

FrameEncoderFactory encode_on_cpu(const KernelTable& kernels) {
  return [&kernels](const Geometry& geometry, const Model& model, const EncodingStyle& style,
                    ThreadPool& pool) {
    return std::make_unique<CpuFrameEncoder>(geometry, model.networks(kernels), style, pool);
  };
}

}  // namespace bsq
