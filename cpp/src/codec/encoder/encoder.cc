// Pictures to packets: checks, keyframes, headers, statistics.
#include "codec/encoder/encoder.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/sha256.h"
#include "base/stage_clock.h"
#include "base/status.h"
#include "codec/common/frame_io.h"
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
// A picture's time where nothing says what it is.
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
                 const KernelTable& kernels, const PictureEncoderFactory& pictures)
    : config_(checked(config)),
      geometry_(component_geometries(config.sequence).front()),
      sequence_(make_sequence(config, *model)),
      header_(header_bytes(sequence_)),
      pool_(thread_count(config.threads)),
      tuning_(kTunings[static_cast<size_t>(config.tune)]),
      pictures_(pictures(geometry_, *model, {tuning_, config.preset}, pool_)),
      crf_q_(static_cast<int>(std::lround(config.crf * 8.0)) + kStepOffset),
      q_(crf_q_),
      rate_(make_rate(config)),
      source_(geometry_.make_frame()),
      previous_source_(luma_frame(geometry_)),
      cut_prediction_(luma_frame(geometry_)) {
  const std::vector<Geometry> components = component_geometries(config.sequence);
  for (size_t i = 1; i < components.size(); ++i) {
    const bool alpha = config.sequence.alpha != 0 && i + 1 == components.size();
    others_.push_back(std::make_unique<EncComponent>(
        alpha ? EncComponent::Kind::kAlpha : EncComponent::Kind::kChroma,
        pictures(components[i], *model, {tuning_, config.preset}, pool_)));
  }
  queue_.reserve(static_cast<size_t>(config_.lookahead) + 1);
  spare_.reserve(queue_.capacity() + 1);
  if (config_.lookahead > 0) analysis_.emplace(geometry_, search_kernels(kernels), pool_);
}

bsq_status Encoder::send(const bsq_picture& picture) {
  const StageScope scope(Stage::kOther);
  if (flushed_) throw Error(BSQ_ERROR_STATE, "a picture was sent after the flush");
  if (waits_) return BSQ_AGAIN;
  check_times(picture);
  const bool look_only = picture.look_only != 0;
  require(look_only || !ended_, "a picture to be coded comes after those to be looked at only");
  if (look_only && !started_ && queue_.empty()) {
    look_before(picture);
    return BSQ_OK;
  }
  ended_ = look_only;
  enqueue(picture);
  if (queue_.size() > static_cast<size_t>(config_.lookahead)) encode_next();
  return BSQ_OK;
}

Encoder::Source Encoder::make_source() {
  Source source;
  if (spare_.empty()) {
    source.frame = geometry_.make_frame();
    for (const auto& other : others_) source.others.push_back(other->geometry().make_frame());
  } else {
    source = std::move(spare_.back());
    spare_.pop_back();
  }
  return source;
}

void Encoder::import(const bsq_picture& picture, Source& source) const {
  const StageScope scope(Stage::kImport);
  check_picture(picture, sequence_.info);
  import_picture(picture, geometry_, source.frame);
  for (size_t i = 0; i < others_.size(); ++i) {
    import_picture(picture, others_[i]->geometry(), source.others[i]);
  }
}

// The picture before the first: what the first one's keyframe goes on with.
void Encoder::look_before(const bsq_picture& picture) {
  require(!preceded_, "only one picture can be looked at before the first that is coded");
  Source source = make_source();
  import(picture, source);
  if (analysis_) analysis_->measure(source.frame, source.costs);
  spare_.push_back(std::move(source));
  last_pts_ = picture.pts;
  preceded_ = true;
}

void Encoder::enqueue(const bsq_picture& picture) {
  Source source = make_source();
  import(picture, source);
  source.pts = picture.pts;
  source.duration = picture.duration;
  source.keyframe = picture.keyframe != 0;
  source.look_only = picture.look_only != 0;
  if (analysis_) {
    const StageScope scope(Stage::kLookAhead);
    analysis_->measure(source.frame, source.costs);
  }
  queue_.push_back(std::move(source));
}

void Encoder::encode_next() {
  Source picture = std::move(queue_.front());
  queue_.erase(queue_.begin());
  if (picture.look_only) {
    last_pts_ = picture.pts;
  } else {
    std::swap(source_, picture.frame);
    for (size_t i = 0; i < others_.size(); ++i) std::swap(others_[i]->source, picture.others[i]);
    encode(picture);
  }
  spare_.push_back(std::move(picture));
}

void Encoder::check_times(const bsq_picture& picture) const {
  if (picture.pts < -kMaxInputTimestamp || picture.pts > kMaxInputTimestamp) {
    throw Error(BSQ_ERROR_ARGUMENT, "the pts is out of range");
  }
  if (picture.duration < 0 || picture.duration > kMaxInputTimestamp) {
    throw Error(BSQ_ERROR_ARGUMENT, "the duration is out of range");
  }
  if (!started_ && !preceded_ && queue_.empty()) return;
  const int64_t before = queue_.empty() ? last_pts_ : queue_.back().pts;
  if (picture.pts <= before) {
    throw Error(BSQ_ERROR_ARGUMENT, "pts " + std::to_string(picture.pts) + " does not rise above " +
                                        std::to_string(before) + ", that of the picture before");
  }
}

int64_t Encoder::deviation(int64_t pts) const {
  return pts - keyframe_pts_ - static_cast<int64_t>(index_) * sequence_.ticks_per_frame;
}

int Encoder::search_range() const {
  return config_.preset == BSQ_PRESET_FAST ? kSearchRangeFast : kSearchRangeMedium;
}

// Leaves the picture predicted if the answer is no.
bool Encoder::wants_keyframe(const Source& picture) {
  if (broken_ || picture.keyframe || index_ >= config_.gop) return true;
  const int64_t d = deviation(picture.pts);
  if (d > kMaxTimestamp || d < -kMaxTimestamp) return true;
  const std::optional<bool> planned = rate_ ? rate_->planned_keyframe() : std::nullopt;
  if (planned.value_or(false)) return true;
  pictures_->predict(q_, search_range());
  if (planned) return false;
  return config_.scene_cut != 0 && index_ >= kDecisions.cut_distance && is_cut();
}

bool Encoder::is_cut() {
  const StageScope scope(Stage::kDeciding);
  pool_.parallel_rows(static_cast<size_t>(geometry_.windows_y), [&](size_t row) {
    const int y = static_cast<int>(row);
    motion_compensate_rows(previous_source_, pictures_->motion(), y, y + 1, cut_prediction_);
  });
  return is_scene_cut(source_, previous_source_, cut_prediction_, pool_);
}

PacketHeader Encoder::make_header(const Source& picture, bool keyframe) const {
  PacketHeader header;
  header.keyframe = keyframe;
  header.parity = parity_;
  if (keyframe) {
    header.sequence = sequence_;
    header.pts = picture.pts;
  } else {
    header.index = static_cast<uint32_t>(index_);
    header.deviation = deviation(picture.pts);
  }
  header.duration = static_cast<uint64_t>(picture.duration);
  header.has_duration = header.duration != 0 && header.duration != sequence_.ticks_per_frame;
  return header;
}

double Encoder::seconds(int64_t ticks) const {
  const bsq_rational& base = sequence_.info.time_base;
  return static_cast<double>(ticks) * base.num / base.den;
}

// How long the picture shows, as far as can be known before the next one.
double Encoder::shown_seconds(const Source& picture) const {
  if (picture.duration > 0) return seconds(picture.duration);
  if (started_ || preceded_) return seconds(picture.pts - last_pts_);
  const bsq_rational& rate = sequence_.info.frame_rate;
  if (rate.num > 0) return static_cast<double>(rate.den) / rate.num;
  return kDefaultSeconds;
}

void Encoder::begin_group(const Source& picture) {
  keyframe_gain_ = continues_scene(picture) ? kDecisions.renewal_gain : kDecisions.keyframe_gain;
  index_ = 0;
  parity_ = started_ && !parity_;
  keyframe_pts_ = picture.pts;
}

void Encoder::choose_step(bool keyframe) {
  const int floor = step_floor();
  const int c =
      keyframe ? rate_->keyframe_step(energies_.intra(source_, pool_), floor)
               : rate_->picture_step(energies_.predicted(source_, pictures_->prediction(), pool_),
                                     floor, config_.gop - index_);
  if (rate_->is_cap() && c == floor) {
    q_ = crf_q_;
  } else {
    take_step(c);
  }
}

// The finest step that the picture may have.
int Encoder::step_floor() const {
  if (!rate_->is_cap()) return 0;
  return std::clamp(crf_q_ + plan_.shift - kStepOffset, 0, kMaxStep);
}

// Takes a step of the control of the rate, which holds what the plan would add to q.
void Encoder::take_step(int c) {
  q_ = c + kStepOffset;
  plan_.shift = 0;
}

// How many of the pictures that wait count in what hangs on a picture: as many as a group can have
// after its first, wherever the picture stands in its group. If those after the next keyframe did
// not count, quality would fall towards it and jump there. Nothing passes a change of scene anyway.
size_t Encoder::horizon() const {
  return std::min(queue_.size(), static_cast<size_t>(config_.gop - 1));
}

// Whether a keyframe shows the scene of the picture before it, which was predicted. Where all
// pictures are keyframes they are all alike.
bool Encoder::continues_scene(const Source& picture) const {
  if (config_.gop == 1) return false;
  if (!analysis_) return started_ ? index_ >= config_.gop : preceded_;
  return (started_ || preceded_) && continues(picture.costs);
}

// What is added to the step for the picture and its windows.
void Encoder::plan(const Source& picture, bool keyframe) {
  std::span<const double> worth;
  if (analysis_) {
    const StageScope scope(Stage::kLookAhead);
    known_costs_.assign(1, &picture.costs);
    const size_t count = horizon();
    for (size_t i = 0; i < count; ++i) known_costs_.push_back(&queue_[i].costs);
    worth = importance_.of(known_costs_, geometry_);
  }
  const StageScope scope(Stage::kDeciding);
  std::span<const int16_t> before;
  if (!keyframe) before = pictures_->offsets();
  // The control of a rate has the picture's step for itself.
  const bool shifts = follows_crf();
  plan_offsets(source_, geometry_, worth, before, tuning_.variance_strength, shifts, pool_, plan_);
  if (analysis_ && !keyframe && shifts) plan_.shift += beat(index_);
}

Encoder::Coded Encoder::code(const Source& picture, bool keyframe) {
  if (keyframe) pictures_->begin_keyframe();
  const int q = std::clamp(q_ + plan_.shift, kStepOffset, kMaxStepIndex);
  const PicturePlan decided{q, keyframe, plan_.windows, search_range(), keyframe_gain_};
  const EncodedPicture& encoded = pictures_->encode(
      {decided.steps(q, plan_.windows, pictures_->has_base()), plan_.windows, keyframe});
  PictureCounts counts;
  counts.add(encoded);
  Coded coded;
  coded.steps = last_steps_;
  data_.resize(1 + others_.size());
  describe_picture(encoded, keyframe, coded.steps, data_.front());
  for (size_t i = 0; i < others_.size(); ++i) {
    others_[i]->encode(decided, *pictures_, counts, data_[1 + i]);
  }
  PacketHeader header = make_header(picture, keyframe);
  header.picture = data_.front().header;
  coded.packet = writer_.write(header, data_);
  coded.stats = make_stats(counts);
  return coded;
}

// A keyframe of the wrong size is coded again, since it starts from nothing; and so, as a keyframe,
// is a picture that would come too late.
Encoder::Coded Encoder::code_within_rate(const Source& picture, bool& keyframe) {
  choose_step(keyframe);
  Coded coded = code(picture, keyframe);
  if (!keyframe && rate_->is_late(coded.bits())) {
    rate_->dropped(coded.bits());
    keyframe = true;
    begin_group(picture);
    plan(picture, keyframe);
    choose_step(keyframe);
    coded = code(picture, keyframe);
  }
  while (keyframe) {
    const std::optional<int> c = rate_->retry_keyframe(coded.bits());
    if (!c) break;
    take_step(*c);
    coded = code(picture, keyframe);
  }
  rate_->done(keyframe, coded.bits());
  return coded;
}

void Encoder::encode(const Source& picture) {
  const double shown = shown_seconds(picture);
  if (rate_) rate_->arrive(started_ ? seconds(picture.pts - last_pts_) : 0.0, shown);
  pictures_->begin(source_);
  bool keyframe = wants_keyframe(picture);
  broken_ = true;  // until the end is reached: the state is of use to nobody after an exception
  if (keyframe) begin_group(picture);
  plan(picture, keyframe);
  Coded coded = rate_ ? code_within_rate(picture, keyframe) : code(picture, keyframe);
  const double crf = std::clamp(q_ - kStepOffset, 0, kMaxStep) / 8.0;
  const bsq_pass_record record{shown, coded.bits(), crf, keyframe ? 1 : 0};
  next_.data.assign(coded.packet.begin(), coded.packet.end());
  next_.pts = picture.pts;
  next_.duration = picture.duration;
  next_.keyframe = keyframe;
  next_.stats = coded.stats;
  next_.record = record;
  pictures_->end_picture();
  for (const auto& other : others_) other->end_picture();
  std::swap(source_.planes[0], previous_source_.planes[0]);
  started_ = true;
  broken_ = false;
  ++index_;
  last_steps_ = coded.steps;
  last_pts_ = picture.pts;
  waits_ = true;  // nobody may receive half of it after an exception
}

bsq_rate_report Encoder::rate_report() const {
  bsq_rate_report report{};
  if (!rate_) return report;
  report.bitrate = config_.bitrate;
  report.maxrate = config_.maxrate > 0 ? config_.maxrate : config_.bitrate;
  report.reached = rate_->seconds() > 0 ? rate_->bits() / rate_->seconds() : 0;
  report.buffer_bits = rate_->buffer().capacity();
  report.lowest_fullness = rate_->buffer().lowest();
  report.late = rate_->buffer().late();
  report.coarsest = rate_->coarsest();
  report.capped = rate_->capped();
  return report;
}

bsq_packet_stats Encoder::make_stats(const PictureCounts& counts) {
  bsq_packet_stats stats{};
  stats.motion_bits = counts.costs.motion;
  stats.skip_bits = counts.costs.flags;
  stats.token_bits = counts.costs.tokens;
  stats.ideal_bits = counts.costs.all();
  stats.psnr_y = psnr(pictures_->luma_error(), geometry_);
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
  const StageScope scope(Stage::kOther);
  while (!waits_ && flushed_ && !queue_.empty()) encode_next();
  if (!waits_) return flushed_ ? BSQ_EOF : BSQ_AGAIN;
  std::swap(out_, next_);
  waits_ = false;
  stats_ = out_.stats;
  record_ = out_.record;
  packet = {out_.data.data(), out_.data.size(), out_.pts, out_.duration, out_.keyframe ? 1 : 0};
  return BSQ_OK;
}

std::string Encoder::reconstruction_hash() {
  Sha256 hash;
  if (started_) {
    PictureBuffer buffer;
    bsq_picture picture{};
    buffer.export_frame(pictures_->picture(), geometry_, picture);
    for (const auto& samples : buffer.samples) hash.update(samples);
    for (const auto& other : others_) {
      PictureBuffer part;
      part.export_frame(other->picture(), other->geometry(), picture);
      hash.update(part.samples[0]);
    }
  }
  return to_hex(hash.digest());
}

}  // namespace bsq
