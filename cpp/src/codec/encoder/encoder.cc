// The steps of a frame through the encoder.
#include "codec/encoder/encoder.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "base/section_clock.h"
#include "base/status.h"
#include "codec/common/threads.h"
#include "codec/encoder/encoder_settings.h"
#include "codec/encoder/mode/decisions.h"

namespace bsq {
namespace {

void add(const bsq_packet_stats& of_frame, bsq_packet_stats& stats) {
  stats.motion_bits += of_frame.motion_bits;
  stats.flag_bits += of_frame.flag_bits;
  stats.delta_q_bits += of_frame.delta_q_bits;
  stats.sample_bits += of_frame.sample_bits;
  stats.token_bits += of_frame.token_bits;
  stats.ideal_bits += of_frame.ideal_bits;
  stats.tokens += of_frame.tokens;
  stats.coded_tokens += of_frame.coded_tokens;
  stats.coded_stages += of_frame.coded_stages;
}

// A frame of this level, with which the packet has so many bits.
void add_level(int level, double packet_bits, bsq_packet_stats& stats) {
  static_assert(kMaxGroup >> std::size(bsq_packet_stats{}.level_bits) == 0);
  for (const double earlier : stats.level_bits) packet_bits -= earlier;
  stats.level_bits[level] += packet_bits;
}

bool is_held(const GopFrame& frame) { return frame.slot >= 0; }

// 0 where too few frames are predicted from it.
double filter_strength(const GopFrame& frame) {
  if (frame.keyframe()) return kDecisions.filter_strength;
  if (frame.level > 0) return 0;
  const int group = frame.index - frame.first;
  if (group < kDecisions.least_filtered_group) return 0;
  return kDecisions.filter_strength * std::min(1.0, group / 8.0);
}

FrameHeader header_of(const GopFrame& frame) {
  FrameHeader header;
  header.is_b = frame.is_b();
  header.hold = frame.slot + 1;
  header.ahead = frame.ahead();
  if (!frame.keyframe()) header.back = static_cast<uint32_t>(frame.index - frame.first);
  if (header.is_b) header.forth = frame.second - frame.index;
  return header;
}

}  // namespace

Encoder::Encoder(const bsq_encoder_config& config, const std::shared_ptr<const Model>& model,
                 const KernelTable& kernels, const FrameEncoderFactory& factory)
    : config_(checked(config)),
      log_(config_),
      geometry_(component_geometries(config_.sequence).front()),
      sequence_(make_sequence(config_, *model)),
      header_(header_bytes(sequence_)),
      pool_(thread_count(config.threads)),
      input_(config_, GopPlanner::group_of(config), search_kernels(kernels), pool_),
      gop_(config_, sequence_),
      planner_(config, geometry_, gop_, input_),
      scene_cut_(geometry_, pool_),
      aq_(geometry_, tuning_of(config_).variance_strength, pool_),
      rate_(config.crf, make_rate(config), pool_, log_),
      packets_(config_, *model, factory, pool_) {
  if (config_.temporal_filter != 0 && config_.lookahead > 0 && config_.gop > 1) {
    temporal_filter_.emplace(config_, search_kernels(kernels), pool_);
  }
  if (log_) {
    log_(BSQ_LOG_DEBUG, "model " + model->name() + ", kernels " + kernels.name + ", " +
                            std::to_string(thread_count(config.threads)) + " threads");
  }
}

bsq_status Encoder::send(const bsq_frame& frame) {
  const SectionScope scope(Section::kOther);
  if (flushed_) throw Error(BSQ_ERROR_STATE, "a frame was sent after the flush");
  if (waits_) return BSQ_AGAIN;
  input_.push(frame);
  if (input_.full()) encode_next();
  return BSQ_OK;
}

void Encoder::flush() {
  if (flushed_) throw Error(BSQ_ERROR_STATE, "the encoder has been flushed already");
  flushed_ = true;
}

bsq_status Encoder::receive(bsq_packet& packet) {
  const SectionScope scope(Section::kOther);
  while (!waits_ && flushed_ && !input_.empty()) encode_next();
  if (!waits_) return flushed_ ? BSQ_EOF : BSQ_AGAIN;
  std::swap(out_, next_);
  waits_ = false;
  if (flushed_ && input_.empty()) rate_.log_report();
  packet = {out_.data.data(),      out_.data.size(),        out_.pts, out_.duration,
            out_.keyframe ? 1 : 0, out_.disposable ? 1 : 0, {}};
  return BSQ_OK;
}

void Encoder::encode_next() {
  SourceFrame& frame = input_.next();
  if (!frame.context_only) encode(frame);
  input_.done();
}

// Plans and codes a frame of a packet for the rate loop.
class Encoder::FrameAtWork final : public RateLoopFrame {
 public:
  // `place`: of the frame among those of its packet.
  FrameAtWork(Encoder& encoder, const GopFrame& frame, size_t place)
      : encoder_(encoder),
        frame_(frame),
        place_(place),
        number_(encoder.input_.begin() + static_cast<size_t>(frame.ahead())),
        source_(encoder.input_.frame(number_)),
        components_(encoder.filtered(frame, number_)) {
    if (frame_.optional) long_term_ = std::exchange(frame_.second, GopFrame::kNone);
    if (!frame.keyframe()) {
      begin();
    } else {
      begin_keyframe();
    }
  }

  bool keyframe() const override { return frame_.keyframe(); }
  const Frame& source() const override { return components_.front(); }
  const Frame& original() const { return source_.components.front(); }
  int q_shift() const override { return plan_->shift; }
  RateFrame rate_frame() const override {
    const int to_reference = frame_.index - frame_.first;
    const std::span<const int> levels = encoder_.packet_levels_;
    return {frame_.level,
            plan_->shift,
            levels.subspan(place_ + 1),
            to_reference,
            encoder_.input_.seconds_between(number_ - static_cast<size_t>(to_reference), number_),
            encoder_.gop_.frames_left()};
  }
  const Frame& prediction(int q) override {
    predict(q);
    return encoder_.packets_.first().prediction();
  }
  double code(int q) override {
    if (coded_) begin();
    if (!keyframe()) predict(q);
    coded_ = true;
    result_ = encoder_.packets_.encode(
        header_of(frame_), {q, role_, plan_->superblocks, encoder_.gop_.keyframe_gain()});
    return result_.packet_bits;
  }
  const FrameResult& result() const { return result_; }

  void predict(int q) {
    if (predicted_) return;
    if (frame_.other != GopFrame::kNone) {
      choose_reference(q);
    } else {
      encoder_.packets_.predict(q);
    }
    predicted_ = true;
  }
  // Predicts from the long-term reference too, where there is one and the frame shows anything new:
  // a frame that repeats the one before costs next to nothing as a P frame.
  void add_long_term(int q) {
    if (long_term_ == GopFrame::kNone) return;
    const Frame& before = encoder_.input_.previous().components.front();
    if (encoder_.rate_.changed_share(source(), before, q) < kDecisions.least_changed) return;
    predict_from(long_term_, q);
    predicted_ = true;
  }
  // From now on the frame, the first one of its packet, is a keyframe.
  void make_keyframe() {
    frame_ = encoder_.planner_.make_keyframe().front();
    begin_keyframe();
  }
  // Decides on adaptive quantization. A frame that is no keyframe may become one before.
  void plan() {
    Encoder& e = encoder_;
    plan_ = &e.aq_.plan({source(), e.planner_.propagation(place_), e.packets_.first().delta_q(),
                         frame_.index, frame_.level, e.planner_.has_b_frames(), frame_.keyframe()});
  }

 private:
  void begin() {
    role_ = encoder_.packets_.role(header_of(frame_), frame_.keyframe(),
                                   static_cast<uint32_t>(frame_.index));
    encoder_.packets_.begin(components_, role_);
    predicted_ = coded_ = false;
  }
  // Takes the second reference that predicts more, and predicts from it.
  void choose_reference(int q) {
    const std::array<int, 2> choices{std::exchange(frame_.other, GopFrame::kNone), frame_.second};
    std::array<double, 2> bits{};
    for (size_t i = 0; i < choices.size(); ++i) {
      predict_from(choices[i], q);
      bits[i] = encoder_.rate_.prediction_bits(source(), encoder_.packets_.first().prediction(), q);
    }
    if (bits[0] < bits[1]) predict_from(choices[0], q);
  }
  void predict_from(int second, int q) {
    frame_.second = second;
    begin();
    encoder_.packets_.predict(q);
  }
  void begin_keyframe() {
    GopControl& gop = encoder_.gop_;
    gop.begin_group(source_);
    encoder_.packets_.begin_packet(gop.header(source_, true));
    begin();
    plan();
  }

  Encoder& encoder_;
  GopFrame frame_;
  int long_term_ = GopFrame::kNone;
  const size_t place_;
  const size_t number_;  // in the queue
  const SourceFrame& source_;
  const std::span<const Frame> components_;  // the source, filtered or not
  FrameRole role_;
  const DeltaQPlan* plan_ = nullptr;
  bool predicted_ = false;
  bool coded_ = false;
  FrameResult result_;
};

// Without a lookahead: whether the frame, which is predicted, is a keyframe for what it shows.
bool Encoder::is_scene_cut(const SourceFrame& frame) {
  return config_.lookahead == 0 && !planner_.has_first_pass() &&
         gop_.allows_scene_cut(gop_.place()) &&
         scene_cut_.is_cut(frame.components.front(), input_.previous().components.front(),
                           packets_.first().motion());
}

// Whether P frames have one. The fast preset leaves out the second search.
bool Encoder::has_long_term() const {
  return !planner_.has_b_frames() && config_.preset != BSQ_PRESET_FAST;
}

// What is coded of a frame: its source, or that filtered, where many frames are predicted from it.
std::span<const Frame> Encoder::filtered(const GopFrame& frame, size_t number) {
  const std::span<const Frame> source = input_.frame(number).components;
  const double strength = filter_strength(frame);
  if (!temporal_filter_ || strength == 0) return source;
  input_.list_scene(number, temporal_filter_->reach(), planner_.visible_end(), scene_);
  neighbours_.clear();
  for (const size_t n : scene_) {
    const size_t distance = n > number ? n - number : number - n;
    neighbours_.push_back({input_.source_of(n).components, static_cast<int>(distance)});
  }
  const std::span<const Frame> result =
      temporal_filter_->run(source, neighbours_, strength, rate_.q());
  return result.empty() ? source : result;
}

// A frame of the packet that shows `shown`. Returns whether it is a keyframe.
bool Encoder::encode_frame(const GopFrame& frame, size_t place, const SourceFrame& shown) {
  FrameAtWork work(*this, frame, place);
  if (!frame.keyframe()) {
    // Searched for at the q of the stream, whose frames are all alike.
    if (!planner_.has_b_frames()) work.predict(rate_.q());
    if (is_scene_cut(shown)) {
      work.make_keyframe();
    } else {
      if (has_long_term()) work.add_long_term(rate_.q());
      work.plan();
    }
  }
  rate_.code(work);
  add(work.result().stats, next_.stats);
  if (!work.keyframe()) add_level(frame.level, work.result().packet_bits, next_.stats);
  packets_.end_frame(work.original());
  return work.keyframe();
}

void Encoder::encode(SourceFrame& shown) {
  rate_.arrive(shown.since, shown.shown);
  const std::span<const GopFrame> planned = planner_.plan();
  packet_.assign(planned.begin(), planned.end());
  packet_levels_.clear();
  for (const GopFrame& frame : packet_) packet_levels_.push_back(frame.level);
  gop_.begin_frame();
  packets_.begin_packet(gop_.header(shown, false));
  next_.keyframe = false;
  next_.stats = {};
  for (size_t i = 0; i < packet_.size(); ++i) {
    next_.keyframe = encode_frame(packet_[i], i, shown);
  }
  next_.disposable = !packet_.empty() && std::none_of(packet_.begin(), packet_.end(), is_held);
  const std::span<const uint8_t> bytes = packets_.finish(static_cast<uint32_t>(gop_.index()));
  next_.data.assign(bytes.begin(), bytes.end());
  const double bits = 8.0 * static_cast<double>(bytes.size());
  rate_.end_packet(shown.pts, bits);
  next_.pts = shown.pts;
  next_.duration = shown.duration;
  next_.stats.psnr_y = packets_.shown_psnr();
  next_.record = {shown.shown, bits, rate_.crf(), next_.keyframe ? 1 : 0, {}};
  planner_.end_packet();
  gop_.end_frame();
  waits_ = true;  // nobody may receive half of it after an exception
}

}  // namespace bsq
