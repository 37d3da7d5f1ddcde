// Pictures to packets: checks, keyframes, headers, statistics.
#include "codec/enc_encoder.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/sha256.h"
#include "base/status.h"
#include "codec/enc_decide.h"
#include "codec/enc_motion.h"
#include "codec/picture_io.h"
#include "codec/settings.h"
#include "motion/compensate.h"

namespace bsq {
namespace {

constexpr int kSearchRangeMedium = 64;
constexpr int kSearchRangeFast = 32;
// Differences of two of these stay within the codestream's kMaxTimestamp.
constexpr int64_t kMaxInputTimestamp = kMaxTimestamp / 2;

void require(bool good, const std::string& message) {
  if (!good) throw Error(BSQ_ERROR_ARGUMENT, message);
}

bsq_encoder_config checked(const bsq_encoder_config& config) {
  check_sequence(config.sequence);
  require(config.crf >= 0.0 && config.crf <= kMaxStep / 8.0, "crf must be 0 to 63");
  require(config.gop >= 1 && config.gop <= 65535, "gop must be 1 to 65535");
  require(config.scene_cut == 0 || config.scene_cut == 1, "scene_cut must be 0 or 1");
  require(config.preset == BSQ_PRESET_FAST || config.preset == BSQ_PRESET_MEDIUM,
          "preset must be BSQ_PRESET_FAST or BSQ_PRESET_MEDIUM");
  return config;
}

SequenceHeader make_sequence(const bsq_encoder_config& config, const Model& model) {
  SequenceHeader sequence;
  sequence.info = config.sequence;
  sequence.info.version = model.config().numerics;
  sequence.info.level = picture_level(config.sequence.width, config.sequence.height);
  std::copy(model.id().begin(), model.id().end(), sequence.info.model_id);
  sequence.ticks_per_frame = ticks_per_frame(config.sequence);
  return sequence;
}

std::vector<uint8_t> header_bytes(const SequenceHeader& sequence) {
  ByteWriter writer;
  write_sequence_header(sequence, writer);
  return writer.take();
}

Frame luma_frame(const Geometry& geometry) {
  Frame frame;
  frame.bit_depth = geometry.bit_depth;
  frame.plane_count = 1;
  frame.planes[0] = Plane(geometry.coded_width(), geometry.coded_height());
  return frame;
}

double psnr(const Frame& a, const Frame& b, const Geometry& g) {
  const ConstPlaneView x = a.planes[0].view();
  const ConstPlaneView y = b.planes[0].view();
  int64_t sum = 0;
  for (int row = 0; row < g.height; ++row) {
    for (int i = 0; i < g.width; ++i) {
      const int d = x.row(row)[i] - y.row(row)[i];
      sum += d * d;
    }
  }
  if (sum == 0) return 100.0;
  const double peak = (1 << g.bit_depth) - 1;
  const double samples = static_cast<double>(g.width) * g.height;
  return std::min(100.0, 10.0 * std::log10(peak * peak * samples / static_cast<double>(sum)));
}

}  // namespace

Encoder::Encoder(const bsq_encoder_config& config, const std::shared_ptr<const Model>& model,
                 const KernelTable& kernels)
    : config_(checked(config)),
      geometry_(Geometry::of(config.sequence)),
      sequence_(make_sequence(config, *model)),
      header_(header_bytes(sequence_)),
      pool_(thread_count(config.threads)),
      state_(geometry_, model->networks(kernels), pool_),
      q_(static_cast<int>(std::lround(config.crf * 8.0)) + state_.step_offset()),
      pictures_(state_, model->networks(kernels), config.preset == BSQ_PRESET_MEDIUM),
      source_(geometry_.make_frame()),
      previous_source_(luma_frame(geometry_)),
      cut_prediction_(luma_frame(geometry_)) {}

bsq_status Encoder::send(const bsq_picture& picture) {
  if (flushed_) throw Error(BSQ_ERROR_STATE, "a picture was sent after the flush");
  if (waiting_) return BSQ_AGAIN;
  check_times(picture);
  import_picture(picture, geometry_, source_);
  encode(picture);
  return BSQ_OK;
}

void Encoder::check_times(const bsq_picture& picture) const {
  require(picture.pts >= -kMaxInputTimestamp && picture.pts <= kMaxInputTimestamp,
          "the pts is out of range");
  require(picture.duration >= 0 && picture.duration <= kMaxInputTimestamp,
          "the duration is out of range");
  require(!started_ || picture.pts > last_pts_,
          "pts " + std::to_string(picture.pts) + " does not rise above " +
              std::to_string(last_pts_) + ", that of the picture before");
}

int64_t Encoder::deviation(int64_t pts) const {
  return pts - keyframe_pts_ - static_cast<int64_t>(index_) * sequence_.ticks_per_frame;
}

// Motion from the picture before, and the prediction it gives.
void Encoder::predict() {
  const int range = config_.preset == BSQ_PRESET_FAST ? kSearchRangeFast : kSearchRangeMedium;
  state_.motion.field =
      search_picture(source_, state_.reference, q_, range, geometry_, state_.motion.field, pool_);
  state_.compensate();
}

// Leaves the prediction in the state if the answer is no.
bool Encoder::wants_keyframe(const bsq_picture& picture) {
  if (broken_ || picture.keyframe != 0 || index_ >= config_.gop) return true;
  const int64_t d = deviation(picture.pts);
  if (d > kMaxTimestamp || d < -kMaxTimestamp) return true;
  predict();
  return config_.scene_cut != 0 && index_ >= kDecisions.cut_distance && is_cut();
}

bool Encoder::is_cut() {
  pool_.parallel_for(static_cast<size_t>(geometry_.windows_y), [&](size_t row) {
    const int y = static_cast<int>(row);
    motion_compensate_rows(previous_source_, state_.motion.field, y, y + 1, cut_prediction_);
  });
  return is_scene_cut(source_, previous_source_, cut_prediction_, pool_);
}

PacketHeader Encoder::make_header(const bsq_picture& picture, bool keyframe,
                                  const std::vector<int>& steps) const {
  PacketHeader header;
  header.keyframe = keyframe;
  header.parity = parity_;
  header.layers = static_cast<int>(steps.size());
  if (keyframe) {
    header.sequence = sequence_;
    header.pts = picture.pts;
  } else {
    header.index = static_cast<uint32_t>(index_);
    header.deviation = deviation(picture.pts);
  }
  header.duration = static_cast<uint64_t>(picture.duration);
  header.has_duration = header.duration != 0 && header.duration != sequence_.ticks_per_frame;
  header.has_steps = keyframe || steps != last_steps_;
  for (size_t i = 0; i < steps.size(); ++i) header.steps[i] = static_cast<uint16_t>(steps[i]);
  return header;
}

void Encoder::encode(const bsq_picture& picture) {
  const bool keyframe = wants_keyframe(picture);
  broken_ = true;  // until the end is reached: the state is of use to nobody after an exception
  if (keyframe) {
    state_.begin_keyframe();
    index_ = 0;
    parity_ = started_ && !parity_;
    keyframe_pts_ = picture.pts;
  }
  const EncodedPicture encoded =
      pictures_.encode(source_, keyframe ? keyframe_steps(q_) : picture_steps(q_), keyframe);
  std::vector<int> steps = encoded.steps;
  for (int& step : steps) step -= state_.step_offset();
  const PacketHeader header = make_header(picture, keyframe, steps);
  // Complete before it waits: nobody may receive half of it after an exception.
  waiting_ = Output{write_packet(header, encoded.payloads), picture.pts, picture.duration, keyframe,
                    make_stats(encoded)};
  state_.end_picture();
  std::swap(source_.planes[0], previous_source_.planes[0]);
  started_ = true;
  broken_ = false;
  ++index_;
  last_steps_ = std::move(steps);
  last_pts_ = picture.pts;
}

bsq_packet_stats Encoder::make_stats(const EncodedPicture& picture) const {
  bsq_packet_stats stats{};
  stats.motion_bits = picture.costs.motion;
  stats.skip_bits = picture.costs.flags;
  stats.token_bits = picture.costs.tokens;
  stats.ideal_bits = picture.costs.all();
  stats.psnr_y = psnr(source_, state_.current, geometry_);
  stats.tokens = picture.tokens;
  stats.coded_tokens = picture.coded_tokens;
  stats.coded_stages = picture.coded_stages;
  return stats;
}

void Encoder::flush() {
  if (flushed_) throw Error(BSQ_ERROR_STATE, "the encoder has been flushed already");
  flushed_ = true;
}

bsq_status Encoder::receive(bsq_packet& packet) {
  if (!waiting_) return flushed_ ? BSQ_EOF : BSQ_AGAIN;
  out_ = std::move(*waiting_);
  waiting_.reset();
  stats_ = out_.stats;
  packet = {out_.data.data(), out_.data.size(), out_.pts, out_.duration, out_.keyframe ? 1 : 0};
  return BSQ_OK;
}

std::string Encoder::reconstruction_hash() const {
  Sha256 hash;
  if (started_) {
    PictureBuffer buffer;
    bsq_picture picture{};
    buffer.export_frame(state_.reference, geometry_, picture);
    for (const auto& samples : buffer.samples) hash.update(samples);
  }
  return to_hex(hash.digest());
}

}  // namespace bsq
