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

int16_t quarter_samples(int shift) {
  return static_cast<int16_t>(std::clamp(4 * shift, kMvMin, kMvMax));
}

void require(bool good, const char* message) {
  if (!good) throw Error(BSQ_ERROR_ARGUMENT, message);
}

}  // namespace

InputQueue::InputQueue(const bsq_encoder_config& config, size_t group, const SearchKernels& kernels,
                       ThreadPool& pool)
    : sequence_(config.sequence),
      geometries_(component_geometries(config.sequence)),
      lookahead_(static_cast<size_t>(config.lookahead)) {
  frames_.reserve(lookahead_ + 2);
  spare_.reserve(lookahead_ + 4);
  if (lookahead_ == 0) return;
  analysis_.emplace(geometries_.front(), kernels, pool, group + 1);
  if (config.scene_cut != 0 || config.temporal_filter != 0) {
    scene_cut_.emplace(geometries_.front(), pool);
  }
}

void InputQueue::push(const bsq_frame& frame) {
  require_unreserved(frame, "frame");
  check_times(frame);
  const bool context_only = frame.context_only != 0;
  require(context_only || !ended_, "a frame to be coded comes after those to be looked at only");
  if (context_only && !started_ && empty()) {
    look_at(frame);
    return;
  }
  SourceFrame source = make_frame();
  import(frame, source);
  source.pts = frame.pts;
  source.duration = frame.duration;
  source.keyframe = frame.keyframe != 0;
  source.context_only = context_only;
  analyse(end(), source);
  ended_ = context_only;
  frames_.push_back(std::move(source));
}

void InputQueue::check_times(const bsq_frame& frame) const {
  require(frame.pts >= -kMaxInputTimestamp && frame.pts <= kMaxInputTimestamp,
          "the pts is out of range");
  require(frame.duration >= 0 && frame.duration <= kMaxInputTimestamp,
          "the duration is out of range");
  if (empty() && !last_pts_) return;
  const int64_t before = empty() ? *last_pts_ : frames_.back().pts;
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
  if (taken_) drop_front();
  SourceFrame source = make_frame();
  import(frame, source);
  if (analysis_) analysis_->measure(first_ - 1, source.components.front(), source.costs);
  previous_ = std::move(source);
  last_pts_ = frame.pts;
}

void InputQueue::analyse(size_t number, SourceFrame& source) {
  if (!analysis_) return;
  const SectionScope scope(Section::kLookahead);
  const bool has_before = number > first_ || !previous_.components.empty();
  // What groups were measured with may have taken its place.
  if (has_before && !analysis_->keeps(number - 1)) analysis_->keep(number - 1, luma_of(number - 1));
  analysis_->measure(number, source.components.front(), source.costs);
  source.reference_costs.blocks.reserve(source.costs.blocks.size());
  source.scene_cut = scene_cut_ && has_before && is_scene_cut(*scene_cut_, number, source);
}

bool InputQueue::is_scene_cut(SceneCutDetector& detector, size_t number,
                              const SourceFrame& source) {
  const Geometry& geometry = geometries_.front();
  motion_.reset(geometry.coded_width(), geometry.coded_height());
  for (int y = 0; y < motion_.blocks_y; ++y) {
    for (int x = 0; x < motion_.blocks_x; ++x) {
      motion_.split_at(x / 2, y / 2) = 1;
      const Shift from = source.costs.blocks[source.costs.at(x, y)].from;
      motion_.set({kBlockSubblocks * x, kBlockSubblocks * y, kBlockSubblocks},
                  {quarter_samples(from.x), quarter_samples(from.y)});
    }
  }
  return detector.is_cut(source.components.front(), luma_of(number - 1), motion_);
}

void InputQueue::list_scene(size_t number, size_t reach, size_t end,
                            std::vector<size_t>& numbers) const {
  numbers.clear();
  const size_t first = previous_.components.empty() ? first_ : first_ - 1;
  for (size_t n = number; n > first && number - n < reach; --n) {
    if (source_of(n).scene_cut) break;
    numbers.push_back(n - 1);
  }
  for (size_t n = number + 1; n < end && n - number <= reach; ++n) {
    if (source_of(n).scene_cut) break;
    numbers.push_back(n);
  }
}

const SourceFrame& InputQueue::source_of(size_t number) const {
  return number < first_ ? previous_ : frames_[number - first_];
}

double InputQueue::seconds_between(size_t number, size_t later) const {
  return seconds(source_of(later).pts - source_of(number).pts);
}

void InputQueue::measure_references(size_t number, size_t first, std::optional<size_t> second) {
  if (!analysis_) return;
  LowresAnalysis& analysis = *analysis_;
  const SectionScope scope(Section::kLookahead);
  for (const size_t needed : {number, first, second.value_or(first)}) {
    if (!analysis.keeps(needed)) analysis.keep(needed, luma_of(needed));
  }
  SourceFrame& source = frame(number);
  analysis.measure_references(number, first, second, source.costs, source.reference_costs);
}

SourceFrame& InputQueue::next() {
  if (taken_) drop_front();
  taken_ = true;
  SourceFrame& front = frames_.front();
  front.has_before = last_pts_.has_value();
  front.since = started_ && last_pts_ ? seconds(front.pts - *last_pts_) : 0.0;
  front.shown = shown_seconds(front);
  return front;
}

void InputQueue::drop_front() {
  taken_ = false;
  if (!previous_.components.empty()) spare_.push_back(std::move(previous_));
  previous_ = std::move(frames_.front());
  frames_.erase(frames_.begin());
  ++first_;
}

void InputQueue::done() {
  last_pts_ = frames_.front().pts;
  if (!frames_.front().context_only) started_ = true;
  drop_front();
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
