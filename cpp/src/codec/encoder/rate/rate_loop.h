// The rate loop: codes a frame at the q of the rate control, and again where its bits do not fit
// the VBV buffer. At a constant quality, codes it once at the q of crf.
#pragma once

#include <cstdint>
#include <memory>

#include "base/plane.h"
#include "base/thread_pool.h"
#include "bsq/bsq.h"
#include "codec/common/log.h"
#include "codec/encoder/rate/energy_histogram.h"
#include "codec/encoder/rate/rate_control.h"

namespace bsq {

// A frame as the loop codes it.
class RateLoopFrame {
 public:
  virtual ~RateLoopFrame() = default;

  virtual int64_t pts() const = 0;
  virtual bool keyframe() const = 0;
  virtual const Frame& source() const = 0;
  // Between keyframes.
  virtual const Frame& prediction() = 0;
  // To the end of the group, this one included.
  virtual int frames_left() const = 0;
  // What adaptive quantization adds to the q of the stream; 0 unless follows_crf().
  virtual int q_shift() const = 0;
  // From now on the frame is a keyframe.
  virtual void make_keyframe() = 0;
  // Codes the frame, anew if it was coded before, and returns its bits.
  virtual double code(int q) = 0;
};

class RateLoop {
 public:
  // `control`: null for a constant quality. The pool must outlive the object.
  RateLoop(double crf, std::unique_ptr<RateControl> control, ThreadPool& pool, const Log& log);

  // Whether frames have the q of crf, as far as a cap allows. Else the control has a frame's q for
  // itself, and nothing may shift it.
  bool follows_crf() const { return !control_ || control_->is_cap(); }
  // That of crf, or of the last frame where the control chose it; without a shift.
  int q() const { return q_; }
  // The same as crf.
  double crf() const;

  // The next frame is due `since` seconds after the one before, and shows for `shown` seconds.
  void arrive(double since, double shown);
  void code(RateLoopFrame& frame);

  // All 0 for a constant quality.
  bsq_rate_report report() const;
  // At the end: how a bit rate or a cap was kept.
  void log_report() const;

 private:
  void choose_q(RateLoopFrame& frame);
  void set_q(int c);
  double code_once(RateLoopFrame& frame) const;
  void log_underflow(const RateLoopFrame& frame, double bits) const;

  const int crf_q_;
  const std::unique_ptr<RateControl> control_;
  ThreadPool& pool_;
  const Log log_;
  EnergyCounter energies_;
  int q_;
  // What is added to q_ for the frame at work: nothing where the control chose that.
  int shift_ = 0;
};

}  // namespace bsq
