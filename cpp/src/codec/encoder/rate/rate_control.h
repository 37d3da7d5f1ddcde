// Rate control: the q of every frame, so that a stream keeps a bit rate or stays below one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "codec/encoder/rate/energy_histogram.h"
#include "codec/encoder/rate/rate_plan.h"
#include "codec/encoder/rate/vbv.h"

namespace bsq {

// What is to be kept.
struct RateGoal {
  double bitrate = 0;             // bits per second, on average
  double maxrate = 0;             // of the receiver, the same or above
  double vbv_buffer_seconds = 0;  // at maxrate
  // The bits need not reach the rate: where the buffer allows it, a frame has its `floor`.
  bool is_cap = false;

  double vbv_buffer_bits() const { return maxrate * vbv_buffer_seconds; }
};

// Steps are given as c of docs/numerics.md section 3: 8 * crf, 0 to 504. No frame has a finer one
// than its `floor`: 0 where a rate is kept, what crf asks for under a cap.
//
// Every frame goes through arrive(), keyframe_q() or inter_q(), retry_keyframe() until
// that has no other step, and done(). A frame that would_underflow() may be coded again as a
// keyframe. All of it follows from the frames and their bits, and not from how they are coded.
class RateControl {
 public:
  // `gop`: most frames in a group; `plan`: of a first pass over the same frames, or empty; a
  // cap has none.
  RateControl(const RateGoal& goal, int gop, RatePlan plan);

  const RateGoal& goal() const { return goal_; }
  bool is_cap() const { return goal_.is_cap; }

  // The next frame is due `since` seconds after the one before, and shows for `length` seconds.
  void arrive(double since, double length);
  int keyframe_q(const EnergyHistogram& energies, int floor);
  // `left`: frames to the end of the group.
  int inter_q(const EnergyHistogram& energies, int floor, int left);
  // Another step for the keyframe, which came out at `bits`; nothing where it may stay.
  std::optional<int> retry_keyframe(double bits);
  // Whether a frame of `bits` empties the buffer, and a keyframe need not.
  bool would_underflow(double bits) const;
  // Such a frame is coded as a keyframe instead.
  void failed_inter(double bits);
  void done(bool keyframe, double bits);

  const VbvBuffer& buffer() const { return buffer_; }
  double bits() const { return bits_; }                         // of all frames so far
  double seconds() const { return seconds_; }                   // that they show for
  int64_t frames_at_max_q() const { return frames_at_max_q_; }  // frames with the coarsest step
  int64_t frames_capped() const { return frames_capped_; }      // frames that a cap made coarser

 private:
  bool is_planned() const { return index_ < plan_.frames.size(); }
  double debt() const;
  double keyframe_budget() const;
  double payback_seconds(double rest) const;
  double wanted_rate(int left) const;
  double steady_q(int left) const;
  double planned_q() const;
  int set_q(double step);
  void learn_keyframe(double bits);
  void learn_inter(double bits);

  const RateGoal goal_;
  const double bitrate_;
  const int gop_;
  const RatePlan plan_;
  VbvBuffer buffer_;

  size_t index_ = 0;  // of the frame at work, in the stream
  EnergyHistogram energies_;
  double length_ = 0;
  int floor_ = 0;
  int step_ = 0;
  int tries_ = 0;

  double bits_ = 0;
  double seconds_ = 0;
  double planned_bits_ = 0;
  int64_t frames_at_max_q_ = 0;
  int64_t frames_capped_ = 0;

  int group_ = 0;  // frames of the group so far
  // Between keyframes, steps count from the floor.
  double inter_q_ = 0;      // where the step stands, unrounded
  int last_q_ = 0;          // of the last frame
  double fading_bits_ = 0;  // of the last frames, as if at the floor
  double fading_seconds_ = 0;
  double keyframe_bits_ = 0;  // of the last one
  int keyframe_q_ = 0;        // likewise, as it is and from its floor
  int keyframe_excess_ = 0;
  double keyframe_ratio_ = 1;  // bits over what their energies say
  double inter_ratio_ = 1;
  int learned_ = 0;  // frames between keyframes, for inter_ratio_
};

}  // namespace bsq
