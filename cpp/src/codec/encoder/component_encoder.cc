// One component of a frame, from its plan to its part of a packet.
#include "codec/encoder/component_encoder.h"

#include <algorithm>
#include <utility>

#include "base/quant_step.h"

namespace bsq {

ComponentEncoder::ComponentEncoder(Role role, std::unique_ptr<FrameEncoder> encoder,
                                   int search_range)
    : role_(role), encoder_(std::move(encoder)), search_range_(search_range) {}

void ComponentEncoder::begin(const Frame& source, const FrameRole& role,
                             const ComponentHeader* before) {
  encoder_->begin(source, role);
  predicted_ = false;
  before_ = before;
}

void ComponentEncoder::predict(int q) {
  encoder_->predict(q, search_range_);
  predicted_ = true;
}

// Chroma has a finer step where steps are coarse, half as much finer as in 4:2:0 (chroma_q of
// base/quant_step.h): errors of its flat areas show. Alpha is as fine as luma.
int ComponentEncoder::own_q(int q) const {
  return role_ == Role::kChroma ? q - (std::max(0, q - kChromaKnee) >> 2) : q;
}

// Those of the first component's superblocks at the same place.
void ComponentEncoder::map_delta_q(const FramePlan& plan, const Geometry& first) {
  delta_q_.clear();
  if (role_ == Role::kAlpha) return;
  const Geometry& g = geometry();
  delta_q_.resize(g.superblocks());
  for (int sy = 0; sy < g.superblocks_y; ++sy) {
    for (int sx = 0; sx < g.superblocks_x; ++sx) {
      delta_q_[g.superblock_index(sx, sy)] =
          plan.delta_q[first.superblock_index(sx << g.narrower, sy)];
    }
  }
}

// q of the layers.
StepList ComponentEncoder::layers(const FramePlan& plan) const {
  const int q = own_q(plan.q);
  if (!plan.role.keyframe) return inter_layers(q);
  int finer = 0;
  for (const int16_t d : delta_q_) finer = std::max(finer, -kDeltaQUnit * d);
  return keyframe_layers(q - plan.keyframe_gain, finer, encoder_->has_base());
}

const EncodedFrame& ComponentEncoder::encode(const FramePlan& plan, ComponentEncoder& first,
                                             FrameData& data) {
  const bool own_motion = role_ != Role::kChroma;
  const bool keyframe = plan.role.keyframe;
  if (!keyframe && !own_motion) {
    encoder_->predict_as(first.frames().motion());
  } else if (!keyframe && !predicted_) {
    predict(own_q(plan.q));
  }
  map_delta_q(plan, first.geometry());
  const EncodedFrame& encoded = encoder_->encode({layers(plan), delta_q_, keyframe, own_motion});
  fill(encoded, data);
  data.header.first_motion = !keyframe && !own_motion;
  return encoded;
}

// The packet omits the steps where they are those of the coding state.
void ComponentEncoder::fill(const EncodedFrame& encoded, FrameData& data) const {
  const auto c = [](int q) { return static_cast<uint16_t>(c_of_q(q)); };
  ComponentHeader header;
  header.layers = static_cast<int>(encoded.steps.size());
  std::transform(encoded.steps.begin(), encoded.steps.end(), header.steps.begin(), c);
  header.has_steps =
      before_ == nullptr || before_->layers != header.layers || before_->steps != header.steps;
  header.base.layers = static_cast<int>(encoded.base_steps.size());
  std::transform(encoded.base_steps.begin(), encoded.base_steps.end(), header.base.steps.begin(),
                 c);
  data.header = header;
  data.payloads = encoded.payloads;
  data.base_payloads = encoded.base_payloads;
}

}  // namespace bsq
