// The steps of a frame through the encoder.
#include "codec/encoder/encoder.h"

#include "base/section_clock.h"
#include "base/status.h"
#include "codec/common/threads.h"
#include "codec/encoder/encoder_settings.h"

namespace bsq {

Encoder::Encoder(const bsq_encoder_config& config, const std::shared_ptr<const Model>& model,
                 const KernelTable& kernels, const FrameEncoderFactory& factory)
    : config_(checked(config)),
      log_(config_),
      geometry_(component_geometries(config.sequence).front()),
      sequence_(make_sequence(config, *model)),
      header_(header_bytes(sequence_)),
      pool_(thread_count(config.threads)),
      input_(config_, search_kernels(kernels), pool_),
      gop_(config_, sequence_),
      scene_cut_(geometry_, pool_),
      aq_(geometry_, tuning_of(config_).variance_strength, pool_),
      rate_(config.crf, make_rate(config), pool_, log_),
      packets_(config_, *model, factory, pool_) {
  if (log_) {
    log_(BSQ_LOG_DEBUG, "model " + model->name() + ", kernels " + kernels.name + ", " +
                            std::to_string(thread_count(config.threads)) + " threads");
  }
}

bsq_status Encoder::send(const bsq_frame& frame) {
  const SectionScope scope(Section::kOther);
  if (flushed_) throw Error(BSQ_ERROR_STATE, "a frame was sent after the flush");
  if (waits_) return BSQ_AGAIN;
  input_.push(frame);
  if (input_.full()) encode_next();
  return BSQ_OK;
}

void Encoder::flush() {
  if (flushed_) throw Error(BSQ_ERROR_STATE, "the encoder has been flushed already");
  flushed_ = true;
}

bsq_status Encoder::receive(bsq_packet& packet) {
  const SectionScope scope(Section::kOther);
  while (!waits_ && flushed_ && !input_.empty()) encode_next();
  if (!waits_) return flushed_ ? BSQ_EOF : BSQ_AGAIN;
  std::swap(out_, next_);
  waits_ = false;
  if (flushed_ && input_.empty()) rate_.log_report();
  packet = {out_.data.data(), out_.data.size(), out_.pts, out_.duration, out_.keyframe ? 1 : 0, {}};
  return BSQ_OK;
}

void Encoder::encode_next() {
  SourceFrame& frame = input_.next();
  if (!frame.context_only) encode(frame);
  input_.done();
}

// Leaves the frame predicted if the answer is no.
bool Encoder::wants_keyframe(const SourceFrame& frame) {
  if (gop_.needs_keyframe(frame)) return true;
  const std::optional<bool> planned = rate_.planned_keyframe();
  if (planned.value_or(false)) return true;
  packets_.predict(rate_.q());
  if (planned) return false;
  return gop_.allows_scene_cut() &&
         scene_cut_.is_cut(frame.components.front(), packets_.first().motion());
}

// Plans and codes a frame for the rate loop.
class Encoder::FrameAtWork final : public RateLoopFrame {
 public:
  FrameAtWork(Encoder& encoder, const SourceFrame& frame, bool keyframe)
      : encoder_(encoder), frame_(frame) {
    begin(keyframe);
  }

  int64_t pts() const override { return frame_.pts; }
  bool keyframe() const override { return keyframe_; }
  const Frame& source() const override { return frame_.components.front(); }
  const Frame& prediction() override { return encoder_.packets_.first().prediction(); }
  int frames_left() const override { return encoder_.gop_.frames_left(); }
  int q_shift() const override { return plan_->shift; }
  void make_keyframe() override { begin(true); }
  double code(int q) override {
    const GopControl& gop = encoder_.gop_;
    packet_ = encoder_.packets_.encode(gop.header(frame_, keyframe_),
                                       {q, keyframe_, plan_->superblocks, gop.keyframe_gain()});
    return packet_.bits();
  }
  const CodedPacket& packet() const { return packet_; }

 private:
  void begin(bool keyframe) {
    GopControl& gop = encoder_.gop_;
    keyframe_ = keyframe;
    if (keyframe) gop.begin_group(frame_);
    plan_ = &encoder_.aq_.plan({source(), encoder_.input_.costs(gop.lookahead_horizon()),
                                encoder_.packets_.first().delta_q(), gop.index(), keyframe,
                                encoder_.rate_.follows_crf()});
  }

  Encoder& encoder_;
  const SourceFrame& frame_;
  bool keyframe_ = false;
  const DeltaQPlan* plan_ = nullptr;
  CodedPacket packet_;
};

void Encoder::encode(SourceFrame& frame) {
  rate_.arrive(frame.since, frame.shown);
  packets_.begin(frame.components);
  const bool keyframe = wants_keyframe(frame);
  gop_.begin_frame();
  FrameAtWork work(*this, frame, keyframe);
  rate_.code(work);
  const CodedPacket& coded = work.packet();
  next_.data.assign(coded.bytes.begin(), coded.bytes.end());
  next_.pts = frame.pts;
  next_.duration = frame.duration;
  next_.keyframe = work.keyframe();
  next_.stats = coded.stats;
  next_.record = {frame.shown, coded.bits(), rate_.crf(), work.keyframe() ? 1 : 0, {}};
  packets_.end_frame();
  scene_cut_.keep(frame.components.front());
  gop_.end_frame();
  waits_ = true;  // nobody may receive half of it after an exception
}

}  // namespace bsq
