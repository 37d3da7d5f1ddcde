// Rate control in one pass: a step that would spend what is left up to the end of the group, were
// all frames like those of the last second. Two passes: the plan's step, shifted by how far the
// bits are off it. A cap: the same as one pass, with what the buffer has above its middle as what
// is left to spend.
#include "codec/encoder/rate/rate_control.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "codec/encoder/rate/rate_model.h"

namespace bsq {
namespace {

// How far the bits may run ahead of the rate, in seconds, and behind it before a keyframe: ten
// seconds of video end within five percent of the rate, wherever they end.
constexpr double kAhead = 0.5;
constexpr double kBehind = 0.4;
// What the frames after the first will take is not known when that is coded. Its step would be
// that of a size of so many seconds of the bit rate; but a high rate mostly goes with frames that
// move a lot, and a low one with frames that hardly do, and so it is half that and half crf 32.
constexpr double kFirstKeyframe = 0.45;
constexpr double kFirstStep = c_of_crf(32);
constexpr double kFirstMost = 0.9;
constexpr double kLeastKeyframe = 0.2;
// Parts of the buffer that a keyframe and another frame may ask for.
constexpr double kKeyframeShare = 0.75;
constexpr double kInterShare = 0.5;
constexpr double kPlannedShare = 0.9;
// How much more than the frames around it a frame may ask for.
constexpr double kMostPeak = 3.0;
// Seconds over which a surplus is paid back: the rest of the group, but at most so many, and fewer
// the more it is above kPatience seconds of the bit rate.
constexpr double kShortest = 1.5;
constexpr double kLongest = 8.0;
constexpr double kPatience = 0.2;
// Under a cap: how full the buffer is to stay where the floor would take more than the rate, and
// the shortest time over which it gets there.
constexpr double kCapFullness = 0.5;
constexpr double kCapShortest = 0.5;
constexpr double kCapKeyframeShare = 0.6;
// Frames so much larger than expected say more than those before them.
constexpr double kSurprise = 1.5;
constexpr double kSurpriseWeight = 0.7;
constexpr double kPlanAhead = 3.0;  // where there is a plan
constexpr double kPlanAtLeast = 1.0;
constexpr double kFade = 1.0;         // seconds
constexpr double kFirstWeight = 0.2;  // seconds that the first keyframe's step counts for
constexpr double kCutWeight = 0.1;    // of what was learned, after a scene cut
constexpr double kFresh = 0.5;        // seconds that do not tell much yet
// The step moves by a part of the way, and by so much at most for a frame of 1/25 s, twice that
// after a start; it stays where the way is short: a packet says its steps where they change.
constexpr double kGain = 0.25;
constexpr double kMostChange = 6.0;
constexpr double kLeastChange = 3.0;
constexpr double kRetryExcess = 1.15;
constexpr int kMaxTries = 3;

}  // namespace

RateControl::RateControl(const RateGoal& goal, int gop, RatePlan plan)
    : goal_(goal),
      bitrate_(goal.bitrate),
      gop_(gop),
      plan_(std::move(plan)),
      buffer_(goal.vbv_buffer_bits()) {}

void RateControl::arrive(double since, double length) {
  if (index_ > 0) {
    buffer_.fill(goal_.maxrate * since);
    // What was only guessed of the frame before.
    seconds_ += since - length_;
    if (group_ > 1) fading_seconds_ = std::max(fading_seconds_ + since - length_, 0.5 * since);
  }
  length_ = length;
  seconds_ += length;
  tries_ = 0;
}

// Bits spent beyond what the rate gives. What a cap leaves over while the buffer is full is lost.
double RateControl::debt() const {
  if (goal_.is_cap) return kCapFullness * buffer_.capacity() - buffer_.fullness();
  return bits_ - bitrate_ * seconds_;
}

double RateControl::keyframe_budget() const {
  if (is_planned()) return kPlannedShare * buffer_.fullness();
  const double ahead = index_ == 0 && !goal_.is_cap
                           ? kFirstMost * bitrate_
                           : std::max(kLeastKeyframe * bitrate_, kAhead * bitrate_ - debt());
  const double share = goal_.is_cap ? kCapKeyframeShare : kKeyframeShare;
  return std::max(0.0, std::min(ahead, share * buffer_.fullness()));
}

int RateControl::set_q(double step) {
  step_ = static_cast<int>(std::lround(std::clamp(step, double(floor_), kMaxC)));
  return step_;
}

int RateControl::keyframe_q(const EnergyHistogram& energies, int floor) {
  energies_ = energies;
  floor_ = floor;
  double finest = floor + inter_q_;
  if (is_planned()) {
    finest = planned_q();
  } else if (index_ == 0 && !goal_.is_cap) {
    const double blind = q_within(kIntraModel, energies, 1.0, kFirstKeyframe * bitrate_, 0.0);
    finest = (kFirstStep + blind) / 2;
  }
  return set_q(q_within(kIntraModel, energies, keyframe_ratio_, keyframe_budget(), finest));
}

std::optional<int> RateControl::retry_keyframe(double bits) {
  const double budget = keyframe_budget();
  if (bits <= kRetryExcess * budget || ++tries_ > kMaxTries) return std::nullopt;
  const int before = step_;
  const double octaves = std::log2(bits / std::max(budget, 1.0)) / kKeyframeSlope;
  if (set_q(before + kQPerOctave * octaves) == before) return std::nullopt;
  return step_;
}

void RateControl::failed_inter(double bits) {
  const double model = model_bits(kInterModel, energies_, step_);
  inter_ratio_ = blend_ratio(inter_ratio_, bits / model, kSurpriseWeight);
}

bool RateControl::would_underflow(double bits) const {
  const double octaves = kKeyframeSlope * (keyframe_q_ - kMaxC) / kQPerOctave;
  const double keyframe = keyframe_bits_ * std::exp2(octaves);  // as coarse as can be
  return bits > buffer_.fullness() && keyframe < buffer_.fullness();
}

// Seconds over which a debt is paid back, of `rest` to the end of the group.
double RateControl::payback_seconds(double rest) const {
  if (goal_.is_cap) return std::clamp(goal_.vbv_buffer_seconds, kCapShortest, kLongest);
  const double patience = kPatience * bitrate_ / std::max(debt(), kPatience * bitrate_);
  return std::clamp(std::min(rest, kLongest * patience), kShortest, kLongest);
}

// Bits per second for the frames from here to the end of the group.
double RateControl::wanted_rate(int left) const {
  const double mean = seconds_ / static_cast<double>(index_ + 1);
  const double rest = left * mean;
  // Before a keyframe that is known to come, the buffer is filled for it.
  const double weight = std::clamp((1.5 * kLongest - rest) / (0.5 * kLongest), 0.0, 1.0);
  const double octaves = kKeyframeSlope * (keyframe_excess_ - inter_q_) / kQPerOctave;
  const double next = keyframe_bits_ * std::exp2(octaves);
  const double goal = -weight * std::min(0.5 * next, kBehind * bitrate_);
  const double rate = bitrate_ + (goal - debt()) / payback_seconds(rest);
  // What was not spent in time is no reason to empty the buffer.
  const double room = std::max(0.0, buffer_.fullness() - 0.4 * buffer_.capacity()) / kShortest;
  return std::clamp(rate, 0.4 * bitrate_, std::min(2 * bitrate_, bitrate_ + room));
}

double RateControl::steady_q(int left) const {
  const double rate = std::max(fading_bits_, 1.0) / std::max(fading_seconds_, 1e-6);
  return kQPerOctave / kInterSlope * std::log2(rate / wanted_rate(left));
}

double RateControl::planned_q() const {
  double left = 0;
  for (size_t i = index_; i < plan_.seconds.size() && left < kPlanAhead; ++i) {
    left += plan_.seconds[i];
  }
  const double horizon = std::max(left, kPlanAtLeast);
  const double ahead = std::max(plan_.bits_ahead(index_, horizon), 0.5 * horizon * bitrate_);
  const double wanted = ahead - (bits_ - planned_bits_);
  const double octaves = std::log2(ahead / std::clamp(wanted, ahead / 4, ahead * 4));
  return plan_.frames[index_].step + kQPerOctave / kInterSlope * octaves;
}

int RateControl::inter_q(const EnergyHistogram& energies, int floor, int left) {
  energies_ = energies;
  floor_ = floor;
  double budget = kPlannedShare * buffer_.fullness();
  if (is_planned()) {
    inter_q_ = planned_q();
  } else {
    const double pace = fading_seconds_ < kFresh ? 2.0 : 1.0;
    const double most = kMostChange * pace * std::clamp(25.0 * length_, 0.5, 4.0);
    const double way = steady_q(left) - inter_q_;
    inter_q_ += std::clamp(kGain * pace * way, -most, most);
    const double mean = seconds_ / static_cast<double>(index_ + 1);
    const double peak = kMostPeak * wanted_rate(left) * std::max(length_, 0.5 * mean);
    budget = kInterShare * buffer_.fullness();
    if (!goal_.is_cap) budget = std::min(budget, peak);
  }
  inter_q_ = std::clamp(inter_q_, 0.0, kMaxC);
  // Under a cap nothing keeps a frame coarser once the quality asked for fits again.
  const bool free = goal_.is_cap && inter_q_ <= 0;
  const bool near = !free && std::abs(inter_q_ - last_q_) < kLeastChange && group_ > 1;
  const double step = floor + (near ? last_q_ : inter_q_);
  return set_q(q_within(kInterModel, energies, inter_ratio_, budget, step));
}

void RateControl::learn_keyframe(double bits) {
  const double model = model_bits(kIntraModel, energies_, step_);
  keyframe_ratio_ = blend_ratio(keyframe_ratio_, bits / model, 0.7);
  keyframe_bits_ = bits;
  keyframe_q_ = step_;
  keyframe_excess_ = step_ - floor_;
  if (index_ == 0) {
    inter_q_ = keyframe_excess_;
    fading_seconds_ = kFirstWeight;
    fading_bits_ = kFirstWeight * bitrate_ * std::exp2(kInterSlope * inter_q_ / kQPerOctave);
  } else if (group_ < gop_) {
    fading_seconds_ *= kCutWeight;
    fading_bits_ *= kCutWeight;
  }
  group_ = 0;
}

void RateControl::learn_inter(double bits) {
  const double model = model_bits(kInterModel, energies_, step_);
  double weight = std::max(0.15, 1.0 / ++learned_);
  if (goal_.is_cap && bits > kSurprise * inter_ratio_ * model) {
    weight = std::max(weight, kSurpriseWeight);
  }
  inter_ratio_ = blend_ratio(inter_ratio_, bits / model, weight);
  const double fade = std::exp(-length_ / kFade);
  fading_seconds_ = fade * fading_seconds_ + length_;
  last_q_ = step_ - floor_;
  fading_bits_ = fade * fading_bits_ + bits * std::exp2(kInterSlope * last_q_ / kQPerOctave);
}

void RateControl::done(bool keyframe, double bits) {
  buffer_.take(bits);
  bits_ += bits;
  if (is_planned()) planned_bits_ += plan_.frames[index_].bits;
  if (step_ == static_cast<int>(kMaxC)) ++frames_at_max_q_;
  if (goal_.is_cap && step_ > floor_) ++frames_capped_;
  if (keyframe) {
    learn_keyframe(bits);
  } else {
    learn_inter(bits);
  }
  ++group_;
  ++index_;
}

}  // namespace bsq
