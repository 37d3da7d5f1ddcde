// Keyframes, groups and propagation cost within the lookahead.
#include "codec/encoder/gop_planner.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "base/section_clock.h"
#include "codec/encoder/mode/decisions.h"

namespace bsq {
namespace {

// How many of the following frames count for a frame: as many as a group of pictures can have after
// its first, wherever the frame is in its own. If those after the next keyframe did not count,
// quality would fall towards it and jump there. Nothing propagates past a scene cut anyway.
size_t horizon_of(const bsq_encoder_config& config) {
  return static_cast<size_t>(std::min(config.lookahead, config.gop - 1));
}

// The first packet of a group has most of its bits, which the receiver's buffer must hold.
double longest_group_of(const bsq_encoder_config& config) {
  constexpr double kMostOfBuffer = 0.5;
  const bool has_buffer = config.bitrate > 0 || config.maxrate > 0;
  return has_buffer ? kMostOfBuffer * config.vbv_buffer_seconds
                    : std::numeric_limits<double>::infinity();
}

// How much of the cost of a frame its references leave.
double inter_share(const FrameCosts& costs) {
  const FrameCosts::Totals totals = costs.totals();
  return totals.intra > 0 ? totals.inter / totals.intra : 0;
}

}  // namespace

size_t GopPlanner::group_of(const bsq_encoder_config& config) {
  return std::min(static_cast<size_t>(config.bframes), horizon_of(config)) + 1;
}

GopPlanner::GopPlanner(const bsq_encoder_config& config, const Geometry& geometry,
                       const GopControl& gop, InputQueue& input)
    : gop_(gop),
      input_(input),
      geometry_(geometry),
      has_lookahead_(config.lookahead > 0),
      horizon_(horizon_of(config)),
      group_(group_of(config)),
      longest_group_(longest_group_of(config)) {
  first_pass_.reserve(config.first_pass_count);
  for (size_t i = 0; i < config.first_pass_count; ++i) {
    first_pass_.push_back(config.first_pass[i].keyframe != 0 ? 1 : 0);
  }
}

std::span<const GopFrame> GopPlanner::plan() {
  if (gop_.broken()) restart();
  extend();
  return packet();
}

std::span<const GopFrame> GopPlanner::make_keyframe() {
  restart();
  extend();
  return packet();
}

void GopPlanner::end_packet() {
  const auto count = static_cast<ptrdiff_t>(packet().size());
  frames_.erase(frames_.begin(), frames_.begin() + count);
  planned_.erase(planned_.begin(), planned_.begin() + count);
}

std::span<const GopFrame> GopPlanner::packet() const {
  size_t count = 0;
  while (count < frames_.size() &&
         planned_[count].number(frames_[count].packet) == input_.begin()) {
    ++count;
  }
  return std::span(frames_).first(count);
}

void GopPlanner::restart() {
  frames_.clear();
  planned_.clear();
  next_ = input_.begin();
  restarted_ = true;
}

size_t GopPlanner::visible_end() const {
  return std::min(input_.end(), input_.begin() + horizon_ + 1);
}

// Plans as far as groups are complete.
void GopPlanner::extend() {
  const size_t end = visible_end();
  const bool is_end = end < input_.begin() + horizon_ + 1;
  while (next_ < end) {
    if (is_keyframe(next_)) {
      add_keyframe(next_);
      continue;
    }
    const size_t size = group_size(end, is_end);
    if (size == 0) return;
    add_group(fitting_size(size));
  }
}

// Of the group that begins with the next frame; 0 where that depends on frames from `end` on.
// `is_end`: no frames follow there.
size_t GopPlanner::group_size(size_t end, bool is_end) {
  for (size_t size = 1; size < group_; ++size) {
    const size_t number = next_ + size;
    if (gop_.is_over(place_of(number))) return size;
    if (number >= end) return is_end ? size : 0;
    if (is_keyframe(number)) return size;
  }
  return group_;
}

// Halves a group while it is too long for the buffer, or its anchor has too little to do with the
// anchor before.
size_t GopPlanner::fitting_size(size_t size) {
  while (size > 1 && input_.seconds_between(next_ - 1, next_ - 1 + size) > longest_group_)
    size /= 2;
  while (size > kDecisions.least_group) {
    const size_t anchor = next_ - 1 + size;
    input_.measure_references(anchor, next_ - 1, std::nullopt);
    if (inter_share(input_.frame(anchor).reference_costs) <= kDecisions.anchor_share) break;
    size = std::max(kDecisions.least_group, size / 2);
  }
  return size;
}

bool GopPlanner::is_keyframe(size_t number) {
  if (restarted_) return true;
  const SourceFrame& frame = input_.frame(number);
  const GopControl::Place place = place_of(number);
  if (gop_.needs_keyframe(frame, place)) return true;
  // Where another encoder begins.
  if (frame.context_only && !input_.frame(number - 1).context_only) return true;
  if (is_first_pass(number)) return first_pass_[number - InputQueue::kFirstNumber] != 0;
  return has_lookahead_ && frame.scene_cut && gop_.allows_scene_cut(place);
}

bool GopPlanner::is_first_pass(size_t number) const {
  return number - InputQueue::kFirstNumber < first_pass_.size();
}

GopControl::Place GopPlanner::place_of(size_t number) const {
  return {static_cast<int>(number - keyframe_), keyframe_pts_};
}

void GopPlanner::add_keyframe(size_t number) {
  restarted_ = false;
  keyframe_ = number;
  keyframe_pts_ = input_.frame(number).pts;
  start_ = {};
  frames_.emplace_back();
  planned_.push_back({keyframe_, false});
  next_ = number + 1;
}

void GopPlanner::add_group(size_t size) {
  append_group(start_, start_.index + static_cast<int>(size), frames_);
  // Its size was found so.
  const bool anchor_is_measured = size > kDecisions.least_group;
  while (planned_.size() < frames_.size()) {
    const GopFrame& frame = frames_[planned_.size()];
    Planned planned{keyframe_, frame.two_sided() || frame.index - frame.first > 1};
    if (planned.measured && (frame.two_sided() || !anchor_is_measured)) {
      std::optional<size_t> second;
      if (frame.two_sided()) second = planned.number(frame.second);
      input_.measure_references(planned.number(frame.index), planned.number(frame.first), second);
    }
    planned_.push_back(planned);
  }
  next_ += size;
}

std::span<const double> GopPlanner::propagation(size_t place) {
  if (!has_lookahead_) return {};
  const SectionScope scope(Section::kLookahead);
  propagation_frames_.clear();
  places_.assign(horizon_ + 1, PropagationFrame::kNone);
  const auto add = [&](size_t number, const PropagationFrame& frame) {
    places_[number - input_.begin()] = static_cast<int>(propagation_frames_.size());
    propagation_frames_.push_back(frame);
  };
  for (size_t i = place; i < frames_.size(); ++i) {
    add(planned_[i].number(frames_[i].index), propagation_frame(i));
  }
  // Frames whose group is not complete count as P frames, each predicted from the one before.
  for (size_t number = next_; number < visible_end(); ++number) {
    add(number, {&input_.frame(number).costs, place_in_list(number - 1), PropagationFrame::kNone});
  }
  const std::span<const double> seen = propagation_.of(propagation_frames_, geometry_);
  const bool is_end = visible_end() < input_.begin() + horizon_ + 1;
  if (!frames_[place].keyframe() || gop_.renews_scene() || !has_b_frames() || is_end) return seen;
  return propagation_.prolong(horizon_, std::min(kDecisions.long_term_frames, gop_.length() - 1));
}

// Of the frame of that number; kNone where it is coded already.
int GopPlanner::place_in_list(size_t number) const {
  if (number < input_.begin()) return PropagationFrame::kNone;
  return places_[number - input_.begin()];
}

// A keyframe counts as if it were predicted from the frame before.
PropagationFrame GopPlanner::propagation_frame(size_t i) {
  const GopFrame& frame = frames_[i];
  const size_t number = planned_[i].number(frame.index);
  const SourceFrame& source = input_.frame(number);
  PropagationFrame result;
  result.costs = planned_[i].measured ? &source.reference_costs : &source.costs;
  result.first = place_in_list(frame.keyframe() ? number - 1 : planned_[i].number(frame.first));
  if (frame.two_sided()) result.second = place_in_list(planned_[i].number(frame.second));
  return result;
}

}  // namespace bsq
