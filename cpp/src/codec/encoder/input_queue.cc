// Frames from the caller to the encoder.
#include "codec/encoder/input_queue.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/section_clock.h"
#include "base/status.h"
#include "bitstream/limits.h"
#include "codec/common/frame_io.h"
#include "codec/common/reserved.h"

namespace bsq {
namespace {

// Differences of two of these stay within the codestream's kMaxTimestamp.
constexpr int64_t kMaxInputTimestamp = kMaxTimestamp / 2;
// A frame's duration where nothing says what it is.
constexpr double kDefaultSeconds = 1.0 / 25;

void require(bool good, const char* message) {
  if (!good) throw Error(BSQ_ERROR_ARGUMENT, message);
}

}  // namespace

InputQueue::InputQueue(const bsq_encoder_config& config, const SearchKernels& kernels,
                       ThreadPool& pool)
    : sequence_(config.sequence),
      geometries_(component_geometries(config.sequence)),
      lookahead_(static_cast<size_t>(config.lookahead)) {
  waiting_.reserve(lookahead_ + 1);
  spare_.reserve(lookahead_ + 2);
  if (lookahead_ > 0) analysis_.emplace(geometries_.front(), kernels, pool);
}

void InputQueue::push(const bsq_frame& frame) {
  require_unreserved(frame, "frame");
  check_times(frame);
  const bool context_only = frame.context_only != 0;
  require(context_only || !ended_, "a frame to be coded comes after those to be looked at only");
  if (context_only && !started_ && waiting_.empty()) {
    look_at(frame);
    return;
  }
  ended_ = context_only;
  SourceFrame source = make_frame();
  import(frame, source);
  source.pts = frame.pts;
  source.duration = frame.duration;
  source.keyframe = frame.keyframe != 0;
  source.context_only = context_only;
  if (analysis_) {
    const SectionScope scope(Section::kLookahead);
    analysis_->measure(source.components.front(), source.costs);
  }
  waiting_.push_back(std::move(source));
}

void InputQueue::check_times(const bsq_frame& frame) const {
  require(frame.pts >= -kMaxInputTimestamp && frame.pts <= kMaxInputTimestamp,
          "the pts is out of range");
  require(frame.duration >= 0 && frame.duration <= kMaxInputTimestamp,
          "the duration is out of range");
  if (waiting_.empty() && !last_pts_) return;
  const int64_t before = waiting_.empty() ? *last_pts_ : waiting_.back().pts;
  if (frame.pts <= before) {
    throw Error(BSQ_ERROR_ARGUMENT, "pts " + std::to_string(frame.pts) + " does not rise above " +
                                        std::to_string(before) + ", that of the frame before");
  }
}

SourceFrame InputQueue::make_frame() {
  SourceFrame source;
  if (spare_.empty()) {
    for (const Geometry& geometry : geometries_) source.components.push_back(geometry.make_frame());
  } else {
    source = std::move(spare_.back());
    spare_.pop_back();
  }
  return source;
}

void InputQueue::import(const bsq_frame& frame, SourceFrame& source) {
  const SectionScope scope(Section::kImport);
  check_frame(frame, sequence_);
  for (size_t i = 0; i < geometries_.size(); ++i) {
    import_frame(frame, geometries_[i], source.components[i]);
  }
}

// The frame before the first, whose scene the first one's keyframe may continue.
void InputQueue::look_at(const bsq_frame& frame) {
  require(!last_pts_, "only one frame can be looked at before the first that is coded");
  SourceFrame source = make_frame();
  import(frame, source);
  if (analysis_) analysis_->measure(source.components.front(), source.costs);
  spare_.push_back(std::move(source));
  last_pts_ = frame.pts;
}

SourceFrame& InputQueue::next() {
  current_ = std::move(waiting_.front());
  waiting_.erase(waiting_.begin());
  current_.has_before = last_pts_.has_value();
  current_.since = started_ && last_pts_ ? seconds(current_.pts - *last_pts_) : 0.0;
  current_.shown = shown_seconds(current_);
  return current_;
}

std::span<const FrameCosts* const> InputQueue::costs(size_t most) {
  costs_.clear();
  if (!analysis_) return costs_;
  costs_.push_back(&current_.costs);
  for (size_t i = 0; i < std::min(most, waiting_.size()); ++i) {
    costs_.push_back(&waiting_[i].costs);
  }
  return costs_;
}

void InputQueue::done() {
  last_pts_ = current_.pts;
  if (!current_.context_only) started_ = true;
  spare_.push_back(std::move(current_));
}

double InputQueue::seconds(int64_t ticks) const {
  const bsq_rational& base = sequence_.time_base;
  return static_cast<double>(ticks) * base.num / base.den;
}

double InputQueue::shown_seconds(const SourceFrame& frame) const {
  if (frame.duration > 0) return seconds(frame.duration);
  if (last_pts_) return seconds(frame.pts - *last_pts_);
  const bsq_rational& rate = sequence_.frame_rate;
  if (rate.num > 0) return static_cast<double>(rate.den) / rate.num;
  return kDefaultSeconds;
}

}  // namespace bsq
