// The rate loop, and its report.
#include "codec/encoder/rate/rate_loop.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include "base/quant_step.h"

namespace bsq {

RateLoop::RateLoop(double crf, std::unique_ptr<RateControl> control, ThreadPool& pool,
                   const Log& log)
    : crf_q_(q_of_crf(crf)), control_(std::move(control)), pool_(pool), log_(log), q_(crf_q_) {}

double RateLoop::crf() const { return crf_of_q(q_); }

void RateLoop::arrive(double since, double shown) {
  if (control_) control_->arrive(since, shown);
}

// A cap leaves the frame at the q of crf, and at its shift, where that fits.
void RateLoop::choose_q(RateLoopFrame& frame) {
  shift_ = frame.q_shift();
  if (!control_) return;
  const bool is_cap = control_->is_cap();
  const int floor = is_cap ? std::clamp(c_of_q(crf_q_ + shift_), 0, kMaxLayerQ) : 0;
  const int c =
      frame.keyframe()
          ? control_->keyframe_q(energies_.intra(frame.source(), pool_), floor)
          : control_->inter_q(energies_.predicted(frame.source(), frame.prediction(), pool_), floor,
                              frame.frames_left());
  if (is_cap && c == floor) {
    q_ = crf_q_;
  } else {
    set_q(c);
  }
}

// The control's q, which has the shift in it already.
void RateLoop::set_q(int c) {
  q_ = q_of_c(c);
  shift_ = 0;
}

double RateLoop::code_once(RateLoopFrame& frame) const {
  return frame.code(std::clamp(q_ + shift_, kQOffset, kMaxQ));
}

// A keyframe of the wrong size is coded again, since it starts from nothing; and so, as a keyframe,
// is a frame that would make the buffer underflow.
void RateLoop::code(RateLoopFrame& frame) {
  choose_q(frame);
  double bits = code_once(frame);
  if (!control_) return;
  if (!frame.keyframe() && control_->would_underflow(bits)) {
    control_->failed_inter(bits);
    frame.make_keyframe();
    choose_q(frame);
    bits = code_once(frame);
  }
  while (frame.keyframe()) {
    const std::optional<int> c = control_->retry_keyframe(bits);
    if (!c) break;
    set_q(*c);
    bits = code_once(frame);
  }
  const int64_t underflows = control_->buffer().underflows();
  control_->done(frame.keyframe(), bits);
  if (control_->buffer().underflows() > underflows) log_underflow(frame, bits);
}

// The first one is a warning, the others are details.
void RateLoop::log_underflow(const RateLoopFrame& frame, double bits) const {
  if (!log_) return;
  const bool first = control_->buffer().underflows() == 1;
  log_(first ? BSQ_LOG_WARNING : BSQ_LOG_DEBUG,
       "the frame at pts " + std::to_string(frame.pts()) + " has " +
           std::to_string(std::llround(bits)) + " bits and makes the VBV buffer of " +
           std::to_string(std::llround(control_->buffer().capacity())) + " bits underflow" +
           (first ? ": a larger buffer helps" : ""));
}

bsq_rate_report RateLoop::report() const {
  bsq_rate_report report{};
  if (!control_) return report;
  const RateGoal& goal = control_->goal();
  const VbvBuffer& buffer = control_->buffer();
  report.bitrate = goal.is_cap ? 0 : goal.bitrate;
  report.maxrate = goal.maxrate;
  report.actual_bitrate = control_->seconds() > 0 ? control_->bits() / control_->seconds() : 0;
  report.vbv_buffer_bits = buffer.capacity();
  report.vbv_min_fullness = buffer.min_fullness();
  report.underflows = buffer.underflows();
  report.frames_at_max_q = control_->frames_at_max_q();
  report.frames_capped = control_->frames_capped();
  return report;
}

void RateLoop::log_report() const {
  if (!log_ || !control_) return;
  const bsq_rate_report kept = report();
  log_(BSQ_LOG_INFO, std::to_string(std::llround(kept.actual_bitrate)) + " b/s, maxrate " +
                         std::to_string(std::llround(kept.maxrate)) + " b/s; " +
                         std::to_string(kept.underflows) + " VBV underflows, " +
                         std::to_string(kept.frames_capped) + " frames capped");
  if (kept.frames_at_max_q > 0 && (kept.bitrate > 0 || kept.underflows > 0)) {
    log_(BSQ_LOG_WARNING, std::to_string(kept.frames_at_max_q) +
                              " frames were coded at crf 63: there is no larger quantizer index");
  }
}

}  // namespace bsq
