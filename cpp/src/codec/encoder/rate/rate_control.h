// Rate control: the q of every frame, so that a stream keeps a bit rate or stays below one.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "codec/encoder/rate/energy_histogram.h"
#include "codec/encoder/rate/rate_plan.h"
#include "codec/encoder/rate/vbv.h"

namespace bsq {

// What is to be kept.
struct RateGoal {
  double bitrate = 0;             // bits per second, on average
  double maxrate = 0;             // of the receiver, the same or above
  double vbv_buffer_seconds = 0;  // at maxrate
  // The bits need not reach the rate: where the buffer allows it, frames have the finest base.
  bool is_cap = false;
  double finest = 0;  // base: 0 where a rate is kept, that of crf under a cap

  double vbv_buffer_bits() const { return maxrate * vbv_buffer_seconds; }
};

// A frame that is coded next.
struct RateFrame {
  int level = 0;  // see GopFrame
  int shift = 0;  // of its step from the base
  // Levels of the frames that follow it in its packet.
  std::span<const int> rest;
  // Of an anchor: frames of its group, and for how long they show; frames to the end of the GOP.
  int group_frames = 1;
  double group_seconds = 0;
  int left = 0;
};

// Steps are given as c of docs/numerics.md section 3: 8 * crf, 0 to 504. What is controlled is the
// base: every frame's step is that and its shift, or coarser where its bits would not fit the
// buffer. A group has one base. No base is below that of the goal.
//
// Every packet goes through arrive(), its frames, and end_packet(). Every frame goes through
// keyframe_q(), or expected_q() and inter_q(); retry() until that has no other step; and done().
// All of it follows from the frames and their bits, and not from how they are coded.
class RateControl {
 public:
  // `gop`: most frames in a GOP; `plan`: of a first pass over the same packets, or empty; a cap has
  // none.
  RateControl(const RateGoal& goal, int gop, RatePlan plan);

  const RateGoal& goal() const { return goal_; }

  // The next packet is due `since` seconds after the one before, and shows for `length` seconds.
  void arrive(double since, double length);
  int keyframe_q(const EnergyHistogram& energies, int shift);
  // The step that a frame has if its bits fit. An anchor begins a group.
  int expected_q(const RateFrame& frame);
  int inter_q(const EnergyHistogram& energies);
  // Another step for the frame, with which the packet has so many bits; nothing where it may stay.
  std::optional<int> retry(double packet_bits);
  void done(double packet_bits);
  void end_packet(double bits);

  // Of the frame coded last.
  double base() const { return frame_base_; }
  const VbvBuffer& buffer() const { return buffer_; }
  double bits() const { return bits_; }                         // of all packets so far
  double seconds() const { return seconds_; }                   // that they show for
  int64_t frames_at_max_q() const { return frames_at_max_q_; }  // frames with the coarsest step
  int64_t frames_capped() const { return frames_capped_; }      // frames that a cap made coarser

 private:
  // What was learned of the frames of a level.
  struct Level {
    double ratio = 1;  // bits over what their energies say
    double bits = 0;   // of a frame at the finest base
    int frames = 0;
  };
  static constexpr size_t kLevels = 5;

  bool is_planned() const { return index_ < plan_.frames.size(); }
  double debt() const;
  double keyframe_budget() const;
  double packet_budget() const;
  double payback_seconds(double rest) const;
  double wanted_rate(int left) const;
  double steady_base() const;
  double planned_base() const;
  int set_q(double step);
  double finest_q() const;
  double excess() const;
  Level& level() { return levels_[std::min(static_cast<size_t>(frame_.level), kLevels - 1)]; }
  void begin_group();
  void end_group();
  double level_bits(int level) const;
  double rest_ratio() const;
  std::optional<int> retry_keyframe(double bits);
  std::optional<int> retry_inter(double bits);
  void learn_keyframe(double bits);
  void learn_inter(double bits);

  const RateGoal goal_;
  const double bitrate_;
  const int gop_;
  const RatePlan plan_;
  VbvBuffer buffer_;

  double bits_ = 0;
  double seconds_ = 0;
  double planned_bits_ = 0;
  int64_t frames_at_max_q_ = 0;
  int64_t frames_capped_ = 0;

  // The packet at work.
  size_t index_ = 0;   // in the stream
  int gop_index_ = 0;  // in the GOP
  double length_ = 0;
  double packet_bits_ = 0;  // of the frames that are done

  // The frame at work.
  EnergyHistogram energies_;
  RateFrame frame_;
  bool keyframe_ = false;
  int step_ = 0;
  int tries_ = 0;

  // The group at work, or the last one.
  double base_ = 0;
  double frame_base_ = 0;  // coarser where its bits did not fit
  int group_frames_ = 0;   // 0: none is at work
  double group_seconds_ = 0;
  double group_bits_ = 0;   // at the finest base
  double wanted_rate_ = 0;  // for the group
  double elapsed_ = 0;      // since its first packet

  // Of the last groups, at the finest base.
  double fading_bits_ = 0;
  double fading_seconds_ = 0;
  double keyframe_bits_ = 0;    // of the last one
  double keyframe_excess_ = 0;  // of its base over the finest one
  double keyframe_ratio_ = 1;   // bits over what their energies say
  std::array<Level, kLevels> levels_;
};

}  // namespace bsq
