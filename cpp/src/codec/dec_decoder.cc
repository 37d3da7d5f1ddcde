// Packets to pictures: continuity of groups, sequence changes, concealment.
#include "codec/dec_decoder.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/sha256.h"
#include "base/stage_clock.h"
#include "base/status.h"
#include "codec/settings.h"

namespace bsq {
namespace {

bool same_format(const bsq_sequence& a, const bsq_sequence& b) {
  return a.width == b.width && a.height == b.height && a.chroma == b.chroma &&
         a.bit_depth == b.bit_depth && std::memcmp(a.model_id, b.model_id, BSQ_MODEL_ID_SIZE) == 0;
}

}  // namespace

Decoder::Decoder(const bsq_decoder_config& config, std::vector<std::shared_ptr<const Model>> models,
                 PictureDecoderFactory factory)
    : config_(config),
      models_(std::move(models)),
      factory_(std::move(factory)),
      pool_(thread_count(config.threads)) {
  if (config.max_level < 0 || config.max_level > kMaxLevel) {
    throw Error(BSQ_ERROR_ARGUMENT, "max_level is " + std::to_string(config.max_level) +
                                        ", it must be 0 to " + std::to_string(kMaxLevel));
  }
}

bsq_status Decoder::send(const bsq_packet& packet) {
  const StageScope scope(Stage::kOther);
  if (flushed_) {
    throw Error(BSQ_ERROR_STATE, "a packet was sent after the flush; reset the decoder first");
  }
  if (pending_) return BSQ_AGAIN;
  if (packet.data == nullptr && packet.size != 0) {
    throw Error(BSQ_ERROR_ARGUMENT, "the packet's data is NULL");
  }
  const std::string what = "packet " + std::to_string(packets_++);
  std::optional<PacketHeader> header;
  try {
    decode({packet.data, packet.size}, what, header);
  } catch (const Error& error) {
    intact_ = false;
    if (error.status() != BSQ_ERROR_BITSTREAM) has_picture_ = false;
    if (!has_picture_ || config_.strict != 0) throw;
    conceal(packet, header);
  } catch (...) {
    intact_ = false;
    has_picture_ = false;
    throw;
  }
  return BSQ_OK;
}

void Decoder::decode(std::span<const uint8_t> data, const std::string& what,
                     std::optional<PacketHeader>& header) {
  const PacketView view = parse_packet(data, what);
  header = view.header;
  if (view.header.keyframe) {
    decode_keyframe(view, data.data(), what);
  } else if (has_picture_) {
    decode_between(view.header, view, data.data(), what);
  }
}

std::shared_ptr<const Model> Decoder::find_model(const bsq_sequence& sequence,
                                                 const std::string& what) const {
  for (const auto& model : models_) {
    if (std::equal(model->id().begin(), model->id().end(), sequence.model_id)) return model;
  }
  throw Error(BSQ_ERROR_MODEL_MISSING, what + ": the stream needs the model " +
                                           to_hex(sequence.model_id) +
                                           ", which was not given to the decoder");
}

void Decoder::decode_keyframe(const PacketView& view, const uint8_t* data,
                              const std::string& what) {
  const SequenceHeader& sequence = view.header.sequence;
  if (sequence.info.level > config_.max_level) {
    throw Error(BSQ_ERROR_UNSUPPORTED,
                what + ": the picture of " + std::to_string(sequence.info.width) + "x" +
                    std::to_string(sequence.info.height) + " has level " +
                    std::to_string(sequence.info.level) + ", above the limit of " +
                    std::to_string(config_.max_level) + " set by max_level");
  }
  const std::shared_ptr<const Model> model = find_model(sequence.info, what);
  if (model->config().numerics != sequence.info.version) {
    throw Error(BSQ_ERROR_BITSTREAM,
                what + ", byte 1: a stream of version " + std::to_string(sequence.info.version) +
                    " names a model of numerics " + std::to_string(model->config().numerics));
  }
  const bool reuse = pictures_ != nullptr && same_format(sequence.info, sequence_.info);
  // The old picture stays until the new one stands: it may be needed for concealment.
  std::unique_ptr<PictureDecoder> fresh;
  if (!reuse) fresh = factory_(Geometry::of(sequence.info), *model, pool_);
  PictureDecoder& pictures = reuse ? *pictures_ : *fresh;
  const auto payloads = split_payloads(view.body, pictures.block_count());
  PayloadSpans base;
  if (view.header.base.layers > 0) base = split_payloads(view.base, pictures.base_block_count());
  pictures.decode(view.header, payloads, base, data, what, kept_layers());
  if (!reuse) pictures_ = std::move(fresh);
  sequence_ = sequence;
  has_sequence_ = true;
  keyframe_pts_ = view.header.pts;
  finish(view.header, keyframe_pts_);
}

void Decoder::check_continuity(const PacketHeader& header, const std::string& what) const {
  const auto fail = [&](const std::string& message) {
    throw Error(BSQ_ERROR_BITSTREAM, what + ", byte 1: " + message);
  };
  if (!intact_) {
    fail("the packet builds on one that was lost or damaged; decoding goes on at a keyframe");
  }
  if (header.parity != last_.parity) {
    fail("the packet belongs to another group than the picture before: a keyframe is missing");
  }
  if (header.index != last_.index + 1) {
    fail("the packet has index " + std::to_string(header.index) + " in its group where " +
         std::to_string(last_.index + 1) + " should follow: packets are missing");
  }
  if (!header.has_steps && header.layers != last_.layers) {
    fail("the packet has " + std::to_string(header.layers) +
         " layers without steps, the one before had " + std::to_string(last_.layers));
  }
}

void Decoder::decode_between(PacketHeader header, const PacketView& view, const uint8_t* data,
                             const std::string& what) {
  check_continuity(header, what);
  if (!header.has_steps) header.steps = last_.steps;
  const int64_t pts = packet_pts(header, keyframe_pts_, sequence_.ticks_per_frame, what);
  if (pts <= last_pts_) {
    throw Error(BSQ_ERROR_BITSTREAM, what + ", byte 1: the timestamp does not rise");
  }
  const auto payloads = split_payloads(view.body, pictures_->block_count());
  pictures_->decode(header, payloads, {}, data, what, kept_layers());
  finish(header, pts);
}

void Decoder::finish(const PacketHeader& header, int64_t pts) {
  pictures_->end_picture();
  last_ = header;
  has_picture_ = true;
  intact_ = true;
  const int64_t duration =
      header.has_duration ? static_cast<int64_t>(header.duration) : sequence_.ticks_per_frame;
  pending_ = Pending{pts, duration, header.keyframe, false};
  last_pts_ = pts;
  last_duration_ = duration;
}

// The packet's own time where it can be read, else the container's, else the next tick expected;
// always later than the picture before.
int64_t Decoder::concealed_pts(const bsq_packet& packet,
                               const std::optional<PacketHeader>& header) const {
  if (header && header->keyframe && header->pts > last_pts_) return header->pts;
  // Another parity, or an index that does not go on, belongs to a group whose keyframe is lost: its
  // base is unknown.
  if (header && !header->keyframe && header->parity == last_.parity &&
      header->index > last_.index) {
    const auto pts = packet_time(*header, keyframe_pts_, sequence_.ticks_per_frame);
    if (pts && *pts > last_pts_) return *pts;
  }
  if (packet.pts > last_pts_ && packet.pts <= kMaxTimestamp) return packet.pts;
  return last_pts_ + std::clamp<int64_t>(last_duration_, 1, kMaxTicksPerFrame);
}

void Decoder::conceal(const bsq_packet& packet, const std::optional<PacketHeader>& header) {
  const int64_t pts = concealed_pts(packet, header);
  if (header && header->keyframe) {
    keyframe_pts_ = header->pts;
    last_.index = 0;
    last_.parity = header->parity;
  }
  pending_ = Pending{pts, last_duration_, false, true};
  last_pts_ = pts;
}

void Decoder::flush() {
  if (flushed_) throw Error(BSQ_ERROR_STATE, "the decoder has been flushed already");
  flushed_ = true;
}

bsq_status Decoder::receive(bsq_picture& picture) {
  const StageScope scope(Stage::kOther);
  if (!pending_) return flushed_ ? BSQ_EOF : BSQ_AGAIN;
  picture = bsq_picture{};
  const StageScope inner(Stage::kExport);
  pictures_->show(picture);
  picture.pts = pending_->pts;
  picture.duration = pending_->duration;
  picture.keyframe = pending_->keyframe ? 1 : 0;
  picture.concealed = pending_->concealed ? 1 : 0;
  pending_.reset();
  return BSQ_OK;
}

void Decoder::reset() {
  has_sequence_ = false;
  has_picture_ = false;
  intact_ = false;
  flushed_ = false;
  packets_ = 0;
  pending_.reset();
}

}  // namespace bsq
