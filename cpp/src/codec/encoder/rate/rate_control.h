// Rate control: the step of every picture, so that a stream keeps a bit rate or stays below one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "codec/encoder/rate/energy_histogram.h"
#include "codec/encoder/rate/rate_plan.h"

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

// What is to be kept.
struct RateGoal {
  double bitrate = 0;         // bits per second, on average
  double fetch_rate = 0;      // of the receiver, the same or above
  double buffer_seconds = 0;  // at the fetch rate
  // The bits need not reach the rate: where the buffer allows it, a picture has its `floor`.
  bool is_cap = false;

  double buffer_bits() const { return fetch_rate * buffer_seconds; }
};

// Steps are given as c of docs/numerics.md section 3: 8 * crf, 0 to 504. No picture has a finer one
// than its `floor`: 0 where a rate is kept, what crf asks for under a cap.
//
// Every picture goes through arrive(), keyframe_step() or picture_step(), retry_keyframe() until
// that has no other step, and done(). A picture that is_late() may be coded again as a keyframe.
// All of it follows from the pictures and their bits, and not from how they are coded.
class RateControl {
 public:
  // `gop`: most pictures in a group; `plan`: of a first pass over the same pictures, or empty; a
  // cap has none.
  RateControl(const RateGoal& goal, int gop, RatePlan plan);

  bool is_cap() const { return goal_.is_cap; }

  // The next picture is due `since` seconds after the one before, and shows for `length` seconds.
  void arrive(double since, double length);
  // What the plan says of this picture, or of one that comes `ahead` pictures later: a keyframe or
  // none; nothing where there is no plan.
  std::optional<bool> planned_keyframe(size_t ahead = 0) const;
  int keyframe_step(const EnergyHistogram& energies, int floor);
  // `left`: pictures to the end of the group.
  int picture_step(const EnergyHistogram& energies, int floor, int left);
  // Another step for the keyframe, which came out at `bits`; nothing where it may stay.
  std::optional<int> retry_keyframe(double bits);
  // Whether a picture of `bits` empties the buffer, and a keyframe need not.
  bool is_late(double bits) const;
  // Such a picture is coded as a keyframe instead.
  void dropped(double bits);
  void done(bool keyframe, double bits);

  const RateBuffer& buffer() const { return buffer_; }
  double bits() const { return bits_; }           // of all pictures so far
  double seconds() const { return seconds_; }     // that they show for
  int64_t coarsest() const { return coarsest_; }  // pictures with the coarsest step
  int64_t capped() const { return capped_; }      // pictures that a cap made coarser

 private:
  bool is_planned() const { return index_ < plan_.pictures.size(); }
  double debt() const;
  double keyframe_budget() const;
  double payback_seconds(double rest) const;
  double wanted_rate(int left) const;
  double steady_step(int left) const;
  double planned_step() const;
  int settle(double step);
  void learn_keyframe(double bits);
  void learn_picture(double bits);

  const RateGoal goal_;
  const double bitrate_;
  const int gop_;
  const RatePlan plan_;
  RateBuffer buffer_;

  size_t index_ = 0;  // of the picture at work, in the stream
  EnergyHistogram energies_;
  double length_ = 0;
  int floor_ = 0;
  int step_ = 0;
  int tries_ = 0;

  double bits_ = 0;
  double seconds_ = 0;
  double planned_bits_ = 0;
  int64_t coarsest_ = 0;
  int64_t capped_ = 0;

  int group_ = 0;  // pictures of the group so far
  // Between keyframes, steps count from the floor.
  double picture_step_ = 0;  // where the step stands, unrounded
  int last_step_ = 0;        // of the last picture
  double fading_bits_ = 0;   // of the last pictures, as if at the floor
  double fading_seconds_ = 0;
  double keyframe_bits_ = 0;  // of the last one
  int keyframe_step_ = 0;     // likewise, as it is and from its floor
  int keyframe_excess_ = 0;
  double keyframe_ratio_ = 1;  // bits over what their energies say
  double picture_ratio_ = 1;
  int learned_ = 0;  // pictures between keyframes, for picture_ratio_
};

}  // namespace bsq
