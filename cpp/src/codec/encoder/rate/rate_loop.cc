// The rate loop, and its report.
#include "codec/encoder/rate/rate_loop.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include "base/quant_step.h"
#include "codec/encoder/mode/decisions.h"
#include "codec/encoder/rate/rate_model.h"

namespace bsq {

RateLoop::RateLoop(double crf, std::unique_ptr<RateControl> control, ThreadPool& pool,
                   const Log& log)
    : crf_q_(q_of_crf(crf)), control_(std::move(control)), pool_(pool), log_(log) {}

int RateLoop::q() const {
  if (!control_) return crf_q_;
  return std::clamp(q_of_c(static_cast<int>(std::lround(control_->base()))), kQOffset, kMaxQ);
}

void RateLoop::arrive(double since, double shown) {
  if (control_) control_->arrive(since, shown);
}

double RateLoop::prediction_bits(const Frame& source, const Frame& prediction, int q) {
  return model_bits(kInterModel, energies_.predicted(source, prediction, pool_), c_of_q(q));
}

double RateLoop::changed_share(const Frame& source, const Frame& before, int q) {
  const EnergyHistogram energies = energies_.predicted(source, before, pool_);
  return energies.share_above(kDecisions.changed_energy * std::exp2(2.0 * c_of_q(q) / kQPerOctave));
}

int RateLoop::choose_c(RateLoopFrame& frame) {
  if (frame.keyframe()) {
    return control_->keyframe_q(energies_.intra(frame.source(), pool_), frame.q_shift());
  }
  const int expected = control_->expected_q(frame.rate_frame());
  const Frame& prediction = frame.prediction(q_of_c(expected));
  return control_->inter_q(energies_.predicted(frame.source(), prediction, pool_));
}

// A frame of the wrong size, or after which the rest of the packet would not fit the buffer, is
// coded again.
void RateLoop::code(RateLoopFrame& frame) {
  if (!control_) {
    frame.code(std::clamp(crf_q_ + frame.q_shift(), kQOffset, kMaxQ));
    return;
  }
  double bits = frame.code(q_of_c(choose_c(frame)));
  while (const std::optional<int> c = control_->retry(bits)) bits = frame.code(q_of_c(*c));
  control_->done(bits);
}

void RateLoop::end_packet(int64_t pts, double bits) {
  if (!control_) return;
  const int64_t underflows = control_->buffer().underflows();
  control_->end_packet(bits);
  if (control_->buffer().underflows() > underflows) log_underflow(pts, bits);
}

// The first one is a warning, the others are details.
void RateLoop::log_underflow(int64_t pts, double bits) const {
  if (!log_) return;
  const bool first = control_->buffer().underflows() == 1;
  log_(first ? BSQ_LOG_WARNING : BSQ_LOG_DEBUG,
       "the packet at pts " + std::to_string(pts) + " has " + std::to_string(std::llround(bits)) +
           " bits and makes the VBV buffer of " +
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
