// The second of two passes: a step for every frame from what the first pass made of it.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/quant_step.h"

namespace bsq {

// By how many octaves the bits of a frame fall where the step of the whole stream rises by one.
inline constexpr double kInterSlope = 1.5;
inline constexpr double kKeyframeSlope = 1.0;
inline constexpr double kMaxC = kMaxLayerQ;  // the largest c, in computations
// The part of the buffer that is full before the first frame is due.
inline constexpr double kStartFullness = 0.9;

// What the first pass made of a frame.
struct PassRecord {
  double seconds = 0;  // for which it shows
  double bits = 0;
  double step = 0;  // c
  bool keyframe = false;
};

struct PlannedFrame {
  double step = 0;  // c
  double bits = 0;  // that are expected of it
};

struct RatePlan {
  std::vector<PlannedFrame> frames;

  // Bits of the frames from `first` on whose time is within `seconds` of its own.
  double bits_ahead(size_t first, double seconds) const;
  std::vector<double> seconds;  // of every frame
};

// Bits of a frame at another step than that of the first pass.
double expected_bits(const PassRecord& record, double step);

struct PlanGoal {
  double bitrate = 0;   // bits per second, on average
  double maxrate = 0;   // at which the buffer fills
  double capacity = 0;  // of the buffer, in bits
};

// Steps that bring the frames to the bit rate and never ask more of the buffer than it has, as
// far as the largest q allows.
RatePlan plan_rate(std::span<const PassRecord> records, const PlanGoal& goal);

}  // namespace bsq
