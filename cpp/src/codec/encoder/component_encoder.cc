// Coding of the components after the first.
#include "codec/encoder/component_encoder.h"

#include <algorithm>
#include <utility>

#include "network/token_steps.h"

namespace bsq {

void describe_frame(const EncodedFrame& encoded, bool keyframe, StepList& last_steps,
                    FrameData& data) {
  const auto c = [](int q) { return static_cast<uint16_t>(q - kQOffset); };
  FrameHeader header;
  header.layers = static_cast<int>(encoded.steps.size());
  header.has_steps = keyframe || encoded.steps != last_steps;
  std::transform(encoded.steps.begin(), encoded.steps.end(), header.steps.begin(), c);
  header.base.layers = static_cast<int>(encoded.base_steps.size());
  std::transform(encoded.base_steps.begin(), encoded.base_steps.end(), header.base.steps.begin(),
                 c);
  data.header = header;
  data.payloads = encoded.payloads;
  data.base_payloads = encoded.base_payloads;
  last_steps = encoded.steps;
}

StepList FramePlan::steps(int own_q, std::span<const int16_t> own_delta_q, bool based) const {
  if (!keyframe) return inter_layers(own_q);
  int finer = 0;
  for (const int16_t d : own_delta_q) finer = std::max(finer, -kDeltaQUnit * d);
  return keyframe_layers(own_q - keyframe_gain, finer, based);
}

// Chroma has a finer step where steps are coarse, by half as much as in 4:2:0 (TokenSteps::chroma):
// errors of its flat areas show. Alpha is as fine as luma.
int ComponentEncoder::own_q(int q) const {
  return kind_ == Kind::kChroma ? q - (std::max(0, q - kChromaKnee) >> 2) : q;
}

ComponentEncoder::ComponentEncoder(Kind kind, std::unique_ptr<FrameEncoder> encoder)
    : source(encoder->geometry().make_frame()), kind_(kind), encoder_(std::move(encoder)) {}

// Those of the superblocks at the same place; none for alpha, whose errors no detail hides.
void ComponentEncoder::map_delta_q(const FramePlan& plan, const Geometry& first) {
  moved_.clear();
  if (kind_ == Kind::kAlpha) return;
  const Geometry& g = geometry();
  moved_.resize(g.superblocks());
  for (int sy = 0; sy < g.superblocks_y; ++sy) {
    for (int sx = 0; sx < g.superblocks_x; ++sx) {
      moved_[g.superblock_index(sx, sy)] =
          plan.delta_q[first.superblock_index(sx << g.narrower, sy)];
    }
  }
}

void ComponentEncoder::encode(const FramePlan& plan, const FrameEncoder& first, FrameCounts& sum,
                              FrameData& data) {
  const int q = own_q(plan.q);
  const bool own_motion = kind_ == Kind::kAlpha;
  encoder_->begin(source);
  if (plan.keyframe) {
    encoder_->begin_keyframe();
  } else if (own_motion) {
    encoder_->predict(q, plan.search_range);
  } else {
    encoder_->predict_as(first.motion());
  }
  map_delta_q(plan, first.geometry());
  const EncodedFrame& encoded = encoder_->encode(
      {plan.steps(q, moved_, encoder_->has_base()), moved_, plan.keyframe, own_motion});
  sum.add(encoded);
  steps_ = last_steps_;
  describe_frame(encoded, plan.keyframe, steps_, data);
  data.header.first_motion = !plan.keyframe && !own_motion;
}

void ComponentEncoder::end_frame() {
  encoder_->end_frame();
  last_steps_ = steps_;
}

}  // namespace bsq
