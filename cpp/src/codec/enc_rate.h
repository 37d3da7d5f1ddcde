// Rate control: the step of every picture, so that a stream keeps a bit rate.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "codec/enc_rate_measure.h"
#include "codec/enc_rate_plan.h"

namespace bsq {

// The buffer that a receiver has before its decoder: it fills at the bit rate, loses the bits of
// every picture when that is due, and at `capacity` it is full, and the sender waits.
class RateBuffer {
 public:
  explicit RateBuffer(double capacity)
      : capacity_(capacity),
        fullness_(kStartFullness * capacity),
        lowest_(kStartFullness * capacity) {}

  double capacity() const { return capacity_; }
  double fullness() const { return fullness_; }
  double lowest() const { return lowest_; }
  // Pictures whose bits were not all there when they were due.
  int64_t late() const { return late_; }

  void fill(double bits);
  void take(double bits);

 private:
  double capacity_;
  double fullness_;
  double lowest_;
  int64_t late_ = 0;
};

// Steps are given as c of docs/numerics.md section 3: 8 * crf, 0 to 504.
//
// Every picture goes through arrive(), keyframe_step() or picture_step(), retry_keyframe() until
// that has no other step, and done(). A picture that is_late() may be coded again as a keyframe.
// All of it follows from the pictures and their bits, and not from how they are coded.
class RateControl {
 public:
  // `bitrate` in bits per second; `gop`: most pictures in a group; `plan`: of a first pass over the
  // same pictures, or empty.
  RateControl(double bitrate, double buffer_seconds, int gop, RatePlan plan);

  // The next picture is due `since` seconds after the one before, and shows for `length` seconds.
  void arrive(double since, double length);
  // What the plan says of this picture, or of one that comes `ahead` pictures later: a keyframe or
  // none; nothing where there is no plan.
  std::optional<bool> planned_keyframe(size_t ahead = 0) const;
  int keyframe_step(const EnergyHistogram& energies);
  // `left`: pictures to the end of the group.
  int picture_step(const EnergyHistogram& energies, int left);
  // Another step for the keyframe, which came out at `bits`; nothing where it may stay.
  std::optional<int> retry_keyframe(double bits);
  // Whether a picture of `bits` empties the buffer, and a keyframe need not.
  bool is_late(double bits) const;
  void done(bool keyframe, double bits);

  const RateBuffer& buffer() const { return buffer_; }
  double bits() const { return bits_; }           // of all pictures so far
  double seconds() const { return seconds_; }     // that they show for
  int64_t coarsest() const { return coarsest_; }  // pictures with the coarsest step

 private:
  bool is_planned() const { return index_ < plan_.pictures.size(); }
  double debt() const { return bits_ - bitrate_ * seconds_; }
  double keyframe_budget() const;
  double wanted_rate(int left) const;
  double steady_step(int left) const;
  double planned_step() const;
  int settle(double step);
  void learn_keyframe(double bits);
  void learn_picture(double bits);

  const double bitrate_;
  const int gop_;
  const RatePlan plan_;
  RateBuffer buffer_;

  size_t index_ = 0;  // of the picture at work, in the stream
  EnergyHistogram energies_;
  double length_ = 0;
  int step_ = 0;
  int tries_ = 0;

  double bits_ = 0;
  double seconds_ = 0;
  double planned_bits_ = 0;
  int64_t coarsest_ = 0;

  int group_ = 0;            // pictures of the group so far
  double picture_step_ = 0;  // where the step between keyframes stands, unrounded
  int last_step_ = 0;        // of the last picture between keyframes
  double fading_bits_ = 0;   // of pictures between keyframes, as if at step 0
  double fading_seconds_ = 0;
  double keyframe_bits_ = 0;  // of the last one
  int keyframe_step_ = 0;
  double keyframe_ratio_ = 1;  // bits over what their energies say
  double picture_ratio_ = 1;
  int learned_ = 0;  // pictures between keyframes, for picture_ratio_
};

}  // namespace bsq
