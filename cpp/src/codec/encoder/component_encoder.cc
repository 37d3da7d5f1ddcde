// Coding of the components after the first.
#include "codec/encoder/component_encoder.h"

#include <algorithm>
#include <utility>

#include "network/token_steps.h"

namespace bsq {

void describe_picture(const EncodedPicture& encoded, bool keyframe, StepList& last_steps,
                      PictureData& data) {
  const auto c = [](int q) { return static_cast<uint16_t>(q - kStepOffset); };
  PictureHeader header;
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

StepList PicturePlan::steps(int own_q, std::span<const int16_t> own_offsets, bool based) const {
  if (!keyframe) return picture_steps(own_q);
  int finer = 0;
  for (const int16_t offset : own_offsets) finer = std::max(finer, -kOffsetUnit * offset);
  return keyframe_steps(own_q - keyframe_gain, finer, based);
}

// Chroma has a finer step where steps are coarse, by half as much as in 4:2:0 (TokenSteps::chroma):
// errors of its flat areas show. Alpha is as fine as luma.
int EncComponent::own_q(int q) const {
  return kind_ == Kind::kChroma ? q - (std::max(0, q - kChromaKnee) >> 2) : q;
}

EncComponent::EncComponent(Kind kind, std::unique_ptr<PictureEncoder> pictures)
    : source(pictures->geometry().make_frame()), kind_(kind), pictures_(std::move(pictures)) {}

// Those of the windows at the same place; none for alpha, whose errors no detail hides.
void EncComponent::move_offsets(const PicturePlan& plan, const Geometry& first) {
  moved_.clear();
  if (kind_ == Kind::kAlpha) return;
  const Geometry& g = geometry();
  moved_.resize(g.windows());
  for (int wy = 0; wy < g.windows_y; ++wy) {
    for (int wx = 0; wx < g.windows_x; ++wx) {
      moved_[g.window_index(wx, wy)] = plan.offsets[first.window_index(wx << g.narrower, wy)];
    }
  }
}

void EncComponent::encode(const PicturePlan& plan, const PictureEncoder& first, PictureCounts& sum,
                          PictureData& data) {
  const int q = own_q(plan.q);
  const bool own_motion = kind_ == Kind::kAlpha;
  pictures_->begin(source);
  if (plan.keyframe) {
    pictures_->begin_keyframe();
  } else if (own_motion) {
    pictures_->predict(q, plan.search_range);
  } else {
    pictures_->predict_as(first.motion());
  }
  move_offsets(plan, first.geometry());
  const EncodedPicture& encoded = pictures_->encode(
      {plan.steps(q, moved_, pictures_->has_base()), moved_, plan.keyframe, own_motion});
  sum.add(encoded);
  steps_ = last_steps_;
  describe_picture(encoded, plan.keyframe, steps_, data);
  data.header.first_motion = !plan.keyframe && !own_motion;
}

void EncComponent::end_picture() {
  pictures_->end_picture();
  last_steps_ = steps_;
}

}  // namespace bsq
