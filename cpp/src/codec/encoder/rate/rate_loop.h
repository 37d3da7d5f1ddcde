// The rate loop: codes a frame at the q of the rate control, and again where its bits do not fit
// the VBV buffer. At a constant quality, codes it once at the q of crf.
#pragma once

#include <cstdint>
#include <memory>

#include "base/plane.h"
#include "base/quant_step.h"
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

  virtual bool keyframe() const = 0;
  virtual const Frame& source() const = 0;
  // What adaptive quantization adds to the q of the stream.
  virtual int q_shift() const = 0;
  // Between keyframes: its place in group and packet.
  virtual RateFrame rate_frame() const = 0;
  // Likewise; its motion is searched for at q, unless that is done.
  virtual const Frame& prediction(int q) = 0;
  // Codes the frame, anew if it was coded before, and returns the bits of the packet up to it.
  virtual double code(int q) = 0;
};

class RateLoop {
 public:
  // `control`: null for a constant quality. The pool must outlive the object.
  RateLoop(double crf, std::unique_ptr<RateControl> control, ThreadPool& pool, const Log& log);

  // That of crf, or of the last frame where the control chose it; without a shift.
  int q() const;
  // The same as crf.
  double crf() const { return crf_of_q(q()); }

  // The next packet is due `since` seconds after the one before, and shows for `shown` seconds.
  void arrive(double since, double shown);
  // What a frame with this prediction will cost at q, by the rate model.
  double prediction_bits(const Frame& source, const Frame& prediction, int q);
  // The share of tokens in which the sources of two frames differ by more than what q leaves.
  double changed_share(const Frame& source, const Frame& before, int q);
  // A frame of the packet.
  void code(RateLoopFrame& frame);
  void end_packet(int64_t pts, double bits);

  // All 0 for a constant quality.
  bsq_rate_report report() const;
  // At the end: how a bit rate or a cap was kept.
  void log_report() const;

 private:
  int choose_c(RateLoopFrame& frame);
  void log_underflow(int64_t pts, double bits) const;

  const int crf_q_;
  const std::unique_ptr<RateControl> control_;
  ThreadPool& pool_;
  const Log log_;
  EnergyCounter energies_;
};

}  // namespace bsq
