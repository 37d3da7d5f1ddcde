// Rate control in one pass: a base that would spend what is left up to the end of the GOP, were all
// groups like those of the last second. Two passes: the plan's step, shifted by how far the bits
// are off it. A cap: the same as one pass, with what the buffer has above its middle as what is
// left to spend.
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
constexpr double kBehind = 0.3;
// What the frames after the first will take is not known when that is coded. Its step would be
// that of a size of so many seconds of the bit rate; but a high rate mostly goes with frames that
// move a lot, and a low one with frames that hardly do, and so it is half that and half crf 32.
constexpr double kFirstKeyframe = 0.45;
constexpr double kFirstStep = c_of_crf(32);
constexpr double kFirstMost = 0.9;
constexpr double kLeastKeyframe = 0.2;
// Parts of the buffer that may go to a keyframe, to a packet of one other frame, and to one of
// several, after which the group has smaller ones.
constexpr double kKeyframeShare = 0.75;
constexpr double kInterShare = 0.5;
constexpr double kGroupShare = 0.75;
constexpr double kPlannedShare = 0.9;
// How much more than the groups around it a group may ask for.
constexpr double kMostPeak = 3.0;
// Seconds over which a surplus is paid back: the rest of the group, but at most so many, and fewer
// the more it is above kPatience seconds of the bit rate.
constexpr double kShortest = 1.5;
constexpr double kLongest = 8.0;
constexpr double kPatience = 0.2;
// Under a cap: how full the buffer is to stay where the floor would take more than the rate, and
// the shortest time over which it gets there.
constexpr double kCapFullness = 0.5;
constexpr double kCapMost = 0.8;
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
constexpr double kLeastRetry = 8.0;  // steps
constexpr int kMaxTries = 3;
// Bits of frames by level before any were coded, as parts of an anchor's.
constexpr std::array<double, 5> kLevelShares{1.0, 0.5, 0.3, 0.2, 0.2};
constexpr double kLevelWeight = 0.3;  // of the last frame in those of its level
// Bases may be above the coarsest step: shifts may be below 0.
constexpr double kMaxBase = kMaxC + 2 * kQPerOctave;

}  // namespace

RateControl::RateControl(const RateGoal& goal, int gop, RatePlan plan)
    : goal_(goal),
      bitrate_(goal.bitrate),
      gop_(gop),
      plan_(std::move(plan)),
      buffer_(goal.vbv_buffer_bits()),
      base_(goal.finest),
      // Before the first keyframe: the temporal filter goes by it.
      frame_base_(goal.is_cap ? goal.finest : kFirstStep) {}

void RateControl::arrive(double since, double length) {
  if (index_ > 0) {
    buffer_.fill(goal_.maxrate * since);
    // What was only guessed of the packet before.
    seconds_ += since - length_;
    elapsed_ += since;
  }
  length_ = length;
  seconds_ += length;
  packet_bits_ = 0;
}

// Bits spent beyond what the rate gives. What a cap leaves over while the buffer is full is lost;
// before a group, whose first packet takes most of it, it is to be fuller than on average.
double RateControl::debt() const {
  if (!goal_.is_cap) return bits_ - bitrate_ * seconds_;
  const double ripple = std::max(0.0, group_seconds_ - length_) / goal_.vbv_buffer_seconds;
  const double fullness = std::min(kCapFullness + 0.5 * ripple, kCapMost);
  return fullness * buffer_.capacity() - buffer_.fullness();
}

double RateControl::keyframe_budget() const {
  if (is_planned()) return kPlannedShare * buffer_.fullness();
  const double ahead = index_ == 0 && !goal_.is_cap
                           ? kFirstMost * bitrate_
                           : std::max(kLeastKeyframe * bitrate_, kAhead * bitrate_ - debt());
  const double share = goal_.is_cap ? kCapKeyframeShare : kKeyframeShare;
  return std::max(0.0, std::min(ahead, share * buffer_.fullness()));
}

// The step of the frame at the finest base.
double RateControl::finest_q() const { return std::clamp(goal_.finest + frame_.shift, 0.0, kMaxC); }

// How much coarser the base of the frame is.
double RateControl::excess() const {
  return step_ > finest_q() ? step_ - frame_.shift - goal_.finest : 0;
}

int RateControl::set_q(double step) {
  step_ = static_cast<int>(std::lround(std::clamp(step, finest_q(), kMaxC)));
  return step_;
}

int RateControl::keyframe_q(const EnergyHistogram& energies, int shift) {
  end_group();
  energies_ = energies;
  frame_ = {};
  frame_.shift = shift;
  keyframe_ = true;
  tries_ = 0;
  double finest = base_ + shift;
  if (is_planned()) {
    finest = planned_base() + shift;
  } else if (index_ == 0 && !goal_.is_cap) {
    const double blind = q_within(kIntraModel, energies, 1.0, kFirstKeyframe * bitrate_, 0.0);
    base_ = (kFirstStep + blind) / 2;
    finest = base_ + shift;
  }
  set_q(q_within(kIntraModel, energies, keyframe_ratio_, keyframe_budget(), finest));
  frame_base_ = goal_.finest + excess();
  return step_;
}

int RateControl::expected_q(const RateFrame& frame) {
  frame_ = frame;
  keyframe_ = false;
  tries_ = 0;
  if (frame.level == 0) begin_group();
  if (is_planned() && packet_bits_ == 0) frame_base_ = base_ = planned_base();
  return set_q(frame_base_ + frame.shift);
}

int RateControl::inter_q(const EnergyHistogram& energies) {
  energies_ = energies;
  const double step = frame_base_ + frame_.shift;
  const double budget = std::max(0.0, packet_budget() - packet_bits_) / (1 + rest_ratio());
  const double within = q_within(kInterModel, energies, level().ratio, budget, step);
  if (within > step) frame_base_ = within - frame_.shift;
  return set_q(within);
}

// What the packet may ask for.
double RateControl::packet_budget() const {
  if (is_planned()) return kPlannedShare * buffer_.fullness();
  const bool several = packet_bits_ > 0 || !frame_.rest.empty();
  const double budget = (several ? kGroupShare : kInterShare) * buffer_.fullness();
  if (goal_.is_cap) return budget;
  const double mean = seconds_ / static_cast<double>(index_ + 1);
  return std::min(budget, kMostPeak * wanted_rate_ * std::max(group_seconds_, 0.5 * mean));
}

double RateControl::level_bits(int level) const {
  const auto l = std::min(static_cast<size_t>(level), kLevels - 1);
  if (levels_[l].frames > 0) return levels_[l].bits;
  return kLevelShares[l] * (levels_[0].frames > 0 ? levels_[0].bits : 1.0);
}

// Bits of the rest of the packet, as a multiple of those of the frame.
double RateControl::rest_ratio() const {
  double rest = 0;
  for (const int level : frame_.rest) rest += level_bits(level);
  return rest / level_bits(frame_.level);
}

std::optional<int> RateControl::retry(double packet_bits) {
  return keyframe_ ? retry_keyframe(packet_bits) : retry_inter(packet_bits - packet_bits_);
}

std::optional<int> RateControl::retry_keyframe(double bits) {
  const double budget = keyframe_budget();
  if (bits <= kRetryExcess * budget || ++tries_ > kMaxTries) return std::nullopt;
  const int before = step_;
  const double octaves = std::log2(bits / std::max(budget, 1.0)) / kKeyframeSlope;
  if (set_q(before + kQPerOctave * octaves) == before) return std::nullopt;
  frame_base_ = goal_.finest + excess();
  return step_;
}

// Where a frame leaves too little for the rest of its packet at the coarsest step. The last try has
// that itself.
std::optional<int> RateControl::retry_inter(double bits) {
  const double rest = rest_ratio();
  const double octaves_left = kInterSlope * (kMaxC - step_) / kQPerOctave;
  const double room = buffer_.fullness() - packet_bits_;
  if (bits * (1 + rest * std::exp2(-octaves_left)) <= room) return std::nullopt;
  if (step_ >= kMaxC || ++tries_ > kMaxTries) return std::nullopt;
  const double budget = std::max(1.0, kPlannedShare * room / (1 + rest));
  const double steps = kQPerOctave / kInterSlope * std::log2(bits / budget);
  const int before = step_;
  set_q(tries_ == kMaxTries ? kMaxC : before + std::max(kLeastRetry, steps));
  frame_base_ += step_ - before;
  return step_;
}

// Seconds over which a debt is paid back, of `rest` to the end of the GOP.
double RateControl::payback_seconds(double rest) const {
  if (goal_.is_cap) return std::clamp(goal_.vbv_buffer_seconds, kCapShortest, kLongest);
  const double patience = kPatience * bitrate_ / std::max(debt(), kPatience * bitrate_);
  return std::clamp(std::min(rest, kLongest * patience), kShortest, kLongest);
}

// Bits per second for the frames from here to the end of the GOP.
double RateControl::wanted_rate(int left) const {
  const double mean = seconds_ / static_cast<double>(index_ + 1);
  const double rest = left * mean;
  // Before a keyframe that is known to come, the buffer is filled for it.
  const double weight = std::clamp((1.5 * kLongest - rest) / (0.5 * kLongest), 0.0, 1.0);
  const double coarser = base_ - goal_.finest - keyframe_excess_;
  const double next = keyframe_bits_ * std::exp2(-kKeyframeSlope * coarser / kQPerOctave);
  const double goal = -weight * std::min(0.5 * next, kBehind * bitrate_);
  const double rate = bitrate_ + (goal - debt()) / payback_seconds(rest);
  // What was not spent in time is no reason to empty the buffer.
  const double room = std::max(0.0, buffer_.fullness() - 0.4 * buffer_.capacity()) / kShortest;
  return std::clamp(rate, 0.4 * bitrate_, std::min(2 * bitrate_, bitrate_ + room));
}

// The base at which the last groups would have had the rate that is wanted.
double RateControl::steady_base() const {
  const double rate = std::max(fading_bits_, 1.0) / std::max(fading_seconds_, 1e-6);
  return goal_.finest + kQPerOctave / kInterSlope * std::log2(rate / wanted_rate_);
}

double RateControl::planned_base() const {
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

void RateControl::begin_group() {
  end_group();
  group_frames_ = frame_.group_frames;
  group_seconds_ = frame_.group_seconds;
  wanted_rate_ = wanted_rate(frame_.left);
  if (is_planned()) return;
  if (levels_[0].frames == 0) {  // nothing is known yet of frames between keyframes
    frame_base_ = base_;
    return;
  }
  const double pace = fading_seconds_ < kFresh ? 2.0 : 1.0;
  const double length = group_seconds_ / group_frames_;
  const double most = kMostChange * pace * std::clamp(25.0 * length, 0.5, 4.0) * group_frames_;
  const double gain = 1 - std::pow(1 - kGain * pace, group_frames_);
  base_ += std::clamp(gain * (steady_base() - base_), -most, most);
  base_ = std::clamp(base_, goal_.finest, kMaxBase);
  // Under a cap nothing keeps a frame coarser once the quality asked for fits again.
  const bool free = goal_.is_cap && base_ <= goal_.finest;
  const bool near = !free && std::abs(base_ - frame_base_) < kLeastChange && gop_index_ > 1;
  if (!near) frame_base_ = base_;
}

void RateControl::end_group() {
  if (group_frames_ > 0) {
    const double fade = std::exp(-elapsed_ / kFade);
    fading_seconds_ = fade * fading_seconds_ + elapsed_;
    fading_bits_ = fade * fading_bits_ + group_bits_;
  }
  group_frames_ = 0;
  group_bits_ = 0;
  elapsed_ = 0;
}

void RateControl::learn_keyframe(double bits) {
  const double model = model_bits(kIntraModel, energies_, step_);
  keyframe_ratio_ = blend_ratio(keyframe_ratio_, bits / model, 0.7);
  keyframe_bits_ = bits;
  keyframe_excess_ = excess();
  if (index_ == 0) {
    // The keyframe is what its first packet can hold, which says less of the frames after it.
    base_ = goal_.is_cap ? frame_base_ : (base_ + frame_base_) / 2;
    fading_seconds_ = kFirstWeight;
    fading_bits_ =
        kFirstWeight * bitrate_ * std::exp2(kInterSlope * (base_ - goal_.finest) / kQPerOctave);
  } else if (gop_index_ < gop_) {
    fading_seconds_ *= kCutWeight;
    fading_bits_ *= kCutWeight;
  }
  gop_index_ = 0;
}

void RateControl::learn_inter(double bits) {
  Level& learned = level();
  const double model = model_bits(kInterModel, energies_, step_);
  double weight = std::max(0.15, 1.0 / ++learned.frames);
  if (goal_.is_cap && bits > kSurprise * learned.ratio * model) {
    weight = std::max(weight, kSurpriseWeight);
  }
  learned.ratio = blend_ratio(learned.ratio, bits / model, weight);
  const double at_finest = bits * std::exp2(kInterSlope * excess() / kQPerOctave);
  learned.bits += std::max(kLevelWeight, 1.0 / learned.frames) * (at_finest - learned.bits);
  group_bits_ += at_finest;
}

void RateControl::done(double packet_bits) {
  const double bits = packet_bits - packet_bits_;
  packet_bits_ = packet_bits;
  if (step_ == static_cast<int>(kMaxC)) ++frames_at_max_q_;
  if (goal_.is_cap && excess() > 0) ++frames_capped_;
  if (keyframe_) {
    learn_keyframe(bits);
  } else {
    learn_inter(bits);
  }
}

void RateControl::end_packet(double bits) {
  buffer_.take(bits);
  bits_ += bits;
  if (is_planned()) planned_bits_ += plan_.frames[index_].bits;
  ++gop_index_;
  ++index_;
}

}  // namespace bsq
