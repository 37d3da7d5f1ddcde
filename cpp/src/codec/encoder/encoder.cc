// Frames to packets: checks, keyframes, headers, statistics.
#include "codec/encoder/encoder.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/section_clock.h"
#include "base/sha256.h"
#include "base/status.h"
#include "codec/common/frame_io.h"
#include "codec/common/reserved.h"
#include "codec/common/threads.h"
#include "codec/encoder/encoder_settings.h"
#include "codec/encoder/mode/decisions.h"
#include "codec/encoder/mode/layer_schedule.h"
#include "codec/encoder/mode/scene_cut.h"
#include "motion/compensate.h"

namespace bsq {
namespace {

constexpr int kSearchRangeMedium = 64;
constexpr int kSearchRangeFast = 32;
// Differences of two of these stay within the codestream's kMaxTimestamp.
constexpr int64_t kMaxInputTimestamp = kMaxTimestamp / 2;
// A frame's time where nothing says what it is.
constexpr double kDefaultSeconds = 1.0 / 25;

void require(bool good, const char* message) {
  if (!good) throw Error(BSQ_ERROR_ARGUMENT, message);
}

Frame luma_frame(const Geometry& geometry) {
  Frame frame;
  frame.bit_depth = geometry.bit_depth;
  frame.plane_count = 1;
  frame.planes[0] = Plane(geometry.coded_width(), geometry.coded_height());
  return frame;
}

double psnr(int64_t squared_error, const Geometry& g) {
  if (squared_error == 0) return 100.0;
  const double peak = (1 << g.bit_depth) - 1;
  const double samples = static_cast<double>(g.width) * g.height;
  return std::min(100.0,
                  10.0 * std::log10(peak * peak * samples / static_cast<double>(squared_error)));
}

}  // namespace

Encoder::Encoder(const bsq_encoder_config& config, const std::shared_ptr<const Model>& model,
                 const KernelTable& kernels, const FrameEncoderFactory& factory)
    : config_(checked(config)),
      log_(config_),
      geometry_(component_geometries(config.sequence).front()),
      sequence_(make_sequence(config, *model)),
      header_(header_bytes(sequence_)),
      pool_(thread_count(config.threads)),
      tuning_(kTunings[static_cast<size_t>(config.tune)]),
      first_(factory(geometry_, *model, {tuning_, config.preset}, pool_)),
      crf_q_(static_cast<int>(std::lround(config.crf * 8.0)) + kQOffset),
      q_(crf_q_),
      rate_(make_rate(config)),
      source_(geometry_.make_frame()),
      previous_source_(luma_frame(geometry_)),
      cut_prediction_(luma_frame(geometry_)) {
  const std::vector<Geometry> components = component_geometries(config.sequence);
  for (size_t i = 1; i < components.size(); ++i) {
    const bool alpha = config.sequence.alpha != 0 && i + 1 == components.size();
    others_.push_back(std::make_unique<ComponentEncoder>(
        alpha ? ComponentEncoder::Kind::kAlpha : ComponentEncoder::Kind::kChroma,
        factory(components[i], *model, {tuning_, config.preset}, pool_)));
  }
  queue_.reserve(static_cast<size_t>(config_.lookahead) + 1);
  spare_.reserve(queue_.capacity() + 1);
  if (config_.lookahead > 0) analysis_.emplace(geometry_, search_kernels(kernels), pool_);
  if (log_) {
    log_(BSQ_LOG_DEBUG, "model " + model->name() + ", kernels " + kernels.name + ", " +
                            std::to_string(thread_count(config.threads)) + " threads");
  }
}

bsq_status Encoder::send(const bsq_frame& frame) {
  const SectionScope scope(Section::kOther);
  if (flushed_) throw Error(BSQ_ERROR_STATE, "a frame was sent after the flush");
  if (waits_) return BSQ_AGAIN;
  require_unreserved(frame, "frame");
  check_times(frame);
  const bool context_only = frame.context_only != 0;
  require(context_only || !ended_, "a frame to be coded comes after those to be looked at only");
  if (context_only && !started_ && queue_.empty()) {
    take_context(frame);
    return BSQ_OK;
  }
  ended_ = context_only;
  enqueue(frame);
  if (queue_.size() > static_cast<size_t>(config_.lookahead)) encode_next();
  return BSQ_OK;
}

Encoder::Source Encoder::make_source() {
  Source source;
  if (spare_.empty()) {
    source.samples = geometry_.make_frame();
    for (const auto& other : others_) source.others.push_back(other->geometry().make_frame());
  } else {
    source = std::move(spare_.back());
    spare_.pop_back();
  }
  return source;
}

void Encoder::import(const bsq_frame& frame, Source& source) const {
  const SectionScope scope(Section::kImport);
  check_frame(frame, sequence_.info);
  import_frame(frame, geometry_, source.samples);
  for (size_t i = 0; i < others_.size(); ++i) {
    import_frame(frame, others_[i]->geometry(), source.others[i]);
  }
}

// The frame before the first: what the first one's keyframe goes on with.
void Encoder::take_context(const bsq_frame& frame) {
  require(!preceded_, "only one frame can be looked at before the first that is coded");
  Source source = make_source();
  import(frame, source);
  if (analysis_) analysis_->measure(source.samples, source.costs);
  spare_.push_back(std::move(source));
  last_pts_ = frame.pts;
  preceded_ = true;
}

void Encoder::enqueue(const bsq_frame& frame) {
  Source source = make_source();
  import(frame, source);
  source.pts = frame.pts;
  source.duration = frame.duration;
  source.keyframe = frame.keyframe != 0;
  source.context_only = frame.context_only != 0;
  if (analysis_) {
    const SectionScope scope(Section::kLookahead);
    analysis_->measure(source.samples, source.costs);
  }
  queue_.push_back(std::move(source));
}

void Encoder::encode_next() {
  Source frame = std::move(queue_.front());
  queue_.erase(queue_.begin());
  if (frame.context_only) {
    last_pts_ = frame.pts;
  } else {
    std::swap(source_, frame.samples);
    for (size_t i = 0; i < others_.size(); ++i) std::swap(others_[i]->source, frame.others[i]);
    encode(frame);
  }
  spare_.push_back(std::move(frame));
}

void Encoder::check_times(const bsq_frame& frame) const {
  if (frame.pts < -kMaxInputTimestamp || frame.pts > kMaxInputTimestamp) {
    throw Error(BSQ_ERROR_ARGUMENT, "the pts is out of range");
  }
  if (frame.duration < 0 || frame.duration > kMaxInputTimestamp) {
    throw Error(BSQ_ERROR_ARGUMENT, "the duration is out of range");
  }
  if (!started_ && !preceded_ && queue_.empty()) return;
  const int64_t before = queue_.empty() ? last_pts_ : queue_.back().pts;
  if (frame.pts <= before) {
    throw Error(BSQ_ERROR_ARGUMENT, "pts " + std::to_string(frame.pts) + " does not rise above " +
                                        std::to_string(before) + ", that of the frame before");
  }
}

int64_t Encoder::deviation(int64_t pts) const {
  return pts - keyframe_pts_ - static_cast<int64_t>(index_) * sequence_.ticks_per_frame;
}

int Encoder::search_range() const {
  return config_.preset == BSQ_PRESET_FAST ? kSearchRangeFast : kSearchRangeMedium;
}

// Leaves the frame predicted if the answer is no.
bool Encoder::wants_keyframe(const Source& frame) {
  if (broken_ || frame.keyframe || index_ >= config_.gop) return true;
  const int64_t d = deviation(frame.pts);
  if (d > kMaxTimestamp || d < -kMaxTimestamp) return true;
  const std::optional<bool> planned = rate_ ? rate_->planned_keyframe() : std::nullopt;
  if (planned.value_or(false)) return true;
  first_->predict(q_, search_range());
  if (planned) return false;
  return config_.scene_cut != 0 && index_ >= kDecisions.cut_distance && is_cut();
}

bool Encoder::is_cut() {
  const SectionScope scope(Section::kDeciding);
  pool_.parallel_rows(static_cast<size_t>(geometry_.superblocks_y), [&](size_t row) {
    const int y = static_cast<int>(row);
    motion_compensate_rows(previous_source_, first_->motion(), y, y + 1, cut_prediction_);
  });
  return is_scene_cut(source_, previous_source_, cut_prediction_, pool_);
}

PacketHeader Encoder::make_header(const Source& frame, bool keyframe) const {
  PacketHeader header;
  header.keyframe = keyframe;
  header.group_toggle = group_toggle_;
  if (keyframe) {
    header.sequence = sequence_;
    header.pts = frame.pts;
  } else {
    header.index = static_cast<uint32_t>(index_);
    header.deviation = deviation(frame.pts);
  }
  header.duration = static_cast<uint64_t>(frame.duration);
  header.has_duration = header.duration != 0 && header.duration != sequence_.ticks_per_frame;
  return header;
}

double Encoder::seconds(int64_t ticks) const {
  const bsq_rational& base = sequence_.info.time_base;
  return static_cast<double>(ticks) * base.num / base.den;
}

// How long the frame shows, as far as can be known before the next one.
double Encoder::shown_seconds(const Source& frame) const {
  if (frame.duration > 0) return seconds(frame.duration);
  if (started_ || preceded_) return seconds(frame.pts - last_pts_);
  const bsq_rational& rate = sequence_.info.frame_rate;
  if (rate.num > 0) return static_cast<double>(rate.den) / rate.num;
  return kDefaultSeconds;
}

void Encoder::begin_group(const Source& frame) {
  keyframe_gain_ = continues_scene(frame) ? kDecisions.renewal_gain : kDecisions.keyframe_gain;
  index_ = 0;
  group_toggle_ = started_ && !group_toggle_;
  keyframe_pts_ = frame.pts;
}

void Encoder::choose_q(bool keyframe) {
  const int floor = q_floor();
  const int c = keyframe ? rate_->keyframe_q(energies_.intra(source_, pool_), floor)
                         : rate_->inter_q(energies_.predicted(source_, first_->prediction(), pool_),
                                          floor, config_.gop - index_);
  if (rate_->is_cap() && c == floor) {
    q_ = crf_q_;
  } else {
    take_q(c);
  }
}

// The lowest q that the frame may have.
int Encoder::q_floor() const {
  if (!rate_->is_cap()) return 0;
  return std::clamp(crf_q_ + plan_.shift - kQOffset, 0, kMaxLayerQ);
}

// Takes a step of the control of the rate, which holds what the plan would add to q.
void Encoder::take_q(int c) {
  q_ = c + kQOffset;
  plan_.shift = 0;
}

// How many of the queued frames count in the propagation cost of a frame: as many as a group can
// have after its first, wherever the frame is in its group. If those after the next keyframe
// did not count, quality would fall towards it and jump there. Nothing passes a change of scene
// anyway.
size_t Encoder::horizon() const {
  return std::min(queue_.size(), static_cast<size_t>(config_.gop - 1));
}

// Whether a keyframe shows the scene of the frame before it, which was predicted. Where all
// frames are keyframes they are all alike.
bool Encoder::continues_scene(const Source& frame) const {
  if (config_.gop == 1) return false;
  if (!analysis_) return started_ ? index_ >= config_.gop : preceded_;
  return (started_ || preceded_) && continues(frame.costs);
}

// What is added to the step for the frame and its superblocks.
void Encoder::plan(const Source& frame, bool keyframe) {
  std::span<const double> propagation;
  if (analysis_) {
    const SectionScope scope(Section::kLookahead);
    known_costs_.assign(1, &frame.costs);
    const size_t count = horizon();
    for (size_t i = 0; i < count; ++i) known_costs_.push_back(&queue_[i].costs);
    propagation = propagation_.of(known_costs_, geometry_);
  }
  const SectionScope scope(Section::kDeciding);
  std::span<const int16_t> before;
  if (!keyframe) before = first_->delta_q();
  // The control of a rate has the frame's step for itself.
  const bool shifts = follows_crf();
  plan_delta_q(source_, geometry_, propagation, before, tuning_.variance_strength, shifts, pool_,
               plan_);
  if (analysis_ && !keyframe && shifts) plan_.shift += q_cascade(index_);
}

Encoder::Coded Encoder::code(const Source& frame, bool keyframe) {
  if (keyframe) first_->begin_keyframe();
  const int q = std::clamp(q_ + plan_.shift, kQOffset, kMaxQ);
  const FramePlan decided{q, keyframe, plan_.superblocks, search_range(), keyframe_gain_};
  const EncodedFrame& encoded = first_->encode(
      {decided.steps(q, plan_.superblocks, first_->has_base()), plan_.superblocks, keyframe});
  FrameCounts counts;
  counts.add(encoded);
  Coded coded;
  coded.steps = last_steps_;
  data_.resize(1 + others_.size());
  describe_frame(encoded, keyframe, coded.steps, data_.front());
  for (size_t i = 0; i < others_.size(); ++i) {
    others_[i]->encode(decided, *first_, counts, data_[1 + i]);
  }
  PacketHeader header = make_header(frame, keyframe);
  header.frame = data_.front().header;
  coded.packet = writer_.write(header, data_);
  coded.stats = make_stats(counts);
  return coded;
}

// A keyframe of the wrong size is coded again, since it starts from nothing; and so, as a keyframe,
// is a frame that would underflow the VBV.
Encoder::Coded Encoder::code_within_rate(const Source& frame, bool& keyframe) {
  choose_q(keyframe);
  Coded coded = code(frame, keyframe);
  if (!keyframe && rate_->would_underflow(coded.bits())) {
    rate_->failed_inter(coded.bits());
    keyframe = true;
    begin_group(frame);
    plan(frame, keyframe);
    choose_q(keyframe);
    coded = code(frame, keyframe);
  }
  while (keyframe) {
    const std::optional<int> c = rate_->retry_keyframe(coded.bits());
    if (!c) break;
    take_q(*c);
    coded = code(frame, keyframe);
  }
  const int64_t underflows = rate_->buffer().underflows();
  rate_->done(keyframe, coded.bits());
  if (rate_->buffer().underflows() > underflows) log_underflow(frame, coded.bits());
  return coded;
}

// The first one is a warning, the others are details.
void Encoder::log_underflow(const Source& frame, double bits) {
  if (!log_) return;
  const bool first = rate_->buffer().underflows() == 1;
  log_(first ? BSQ_LOG_WARNING : BSQ_LOG_DEBUG,
       "the frame at pts " + std::to_string(frame.pts) + " has " +
           std::to_string(std::llround(bits)) + " bits and makes the VBV buffer of " +
           std::to_string(std::llround(rate_->buffer().capacity())) + " bits underflow" +
           (first ? ": a larger buffer helps" : ""));
}

// At the end, how a bit rate or a cap was kept.
void Encoder::log_rate() const {
  if (!log_ || !rate_) return;
  const bsq_rate_report report = rate_report();
  log_(BSQ_LOG_INFO, std::to_string(std::llround(report.actual_bitrate)) + " b/s, maxrate " +
                         std::to_string(std::llround(report.maxrate)) + " b/s; " +
                         std::to_string(report.underflows) + " VBV underflows, " +
                         std::to_string(report.frames_capped) + " frames capped");
  if (report.frames_at_max_q > 0 && (report.bitrate > 0 || report.underflows > 0)) {
    log_(BSQ_LOG_WARNING, std::to_string(report.frames_at_max_q) +
                              " frames were coded at crf 63: there is no larger quantizer index");
  }
}

void Encoder::encode(const Source& frame) {
  const double shown = shown_seconds(frame);
  if (rate_) rate_->arrive(started_ ? seconds(frame.pts - last_pts_) : 0.0, shown);
  first_->begin(source_);
  bool keyframe = wants_keyframe(frame);
  broken_ = true;  // until the end is reached: the state is of use to nobody after an exception
  if (keyframe) begin_group(frame);
  plan(frame, keyframe);
  Coded coded = rate_ ? code_within_rate(frame, keyframe) : code(frame, keyframe);
  const double crf = std::clamp(q_ - kQOffset, 0, kMaxLayerQ) / 8.0;
  const bsq_pass_record record{shown, coded.bits(), crf, keyframe ? 1 : 0, {}};
  next_.data.assign(coded.packet.begin(), coded.packet.end());
  next_.pts = frame.pts;
  next_.duration = frame.duration;
  next_.keyframe = keyframe;
  next_.stats = coded.stats;
  next_.record = record;
  first_->end_frame();
  for (const auto& other : others_) other->end_frame();
  std::swap(source_.planes[0], previous_source_.planes[0]);
  started_ = true;
  broken_ = false;
  ++index_;
  last_steps_ = coded.steps;
  last_pts_ = frame.pts;
  waits_ = true;  // nobody may receive half of it after an exception
}

bsq_rate_report Encoder::rate_report() const {
  bsq_rate_report report{};
  if (!rate_) return report;
  report.bitrate = config_.bitrate;
  report.maxrate = config_.maxrate > 0 ? config_.maxrate : config_.bitrate;
  report.actual_bitrate = rate_->seconds() > 0 ? rate_->bits() / rate_->seconds() : 0;
  report.vbv_buffer_bits = rate_->buffer().capacity();
  report.vbv_min_fullness = rate_->buffer().min_fullness();
  report.underflows = rate_->buffer().underflows();
  report.frames_at_max_q = rate_->frames_at_max_q();
  report.frames_capped = rate_->frames_capped();
  return report;
}

bsq_packet_stats Encoder::make_stats(const FrameCounts& counts) {
  bsq_packet_stats stats{};
  stats.motion_bits = counts.costs.motion;
  stats.skip_bits = counts.costs.flags;
  stats.token_bits = counts.costs.tokens;
  stats.ideal_bits = counts.costs.all();
  stats.psnr_y = psnr(first_->luma_error(), geometry_);
  stats.tokens = counts.tokens;
  stats.coded_tokens = counts.coded_tokens;
  stats.coded_stages = counts.coded_stages;
  return stats;
}

void Encoder::flush() {
  if (flushed_) throw Error(BSQ_ERROR_STATE, "the encoder has been flushed already");
  flushed_ = true;
}

bsq_status Encoder::receive(bsq_packet& packet) {
  const SectionScope scope(Section::kOther);
  while (!waits_ && flushed_ && !queue_.empty()) encode_next();
  if (!waits_) return flushed_ ? BSQ_EOF : BSQ_AGAIN;
  std::swap(out_, next_);
  waits_ = false;
  if (flushed_ && queue_.empty()) log_rate();
  stats_ = out_.stats;
  record_ = out_.record;
  packet = {out_.data.data(), out_.data.size(), out_.pts, out_.duration, out_.keyframe ? 1 : 0, {}};
  return BSQ_OK;
}

std::string Encoder::reconstruction_hash() {
  Sha256 hash;
  if (started_) {
    FrameBuffer buffer;
    bsq_frame frame{};
    buffer.export_frame(first_->frame(), geometry_, frame);
    for (const auto& samples : buffer.samples) hash.update(samples);
    for (const auto& other : others_) {
      FrameBuffer part;
      part.export_frame(other->frame(), other->geometry(), frame);
      hash.update(part.samples[0]);
    }
  }
  return to_hex(hash.digest());
}

}  // namespace bsq
