// Packets to frames: lost frames, sequence changes, concealment.
#include "codec/decoder/decoder.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/section_clock.h"
#include "base/sha256.h"
#include "base/status.h"
#include "codec/common/base_frame.h"
#include "codec/common/geometry.h"
#include "codec/common/reserved.h"
#include "codec/common/threads.h"

namespace bsq {
namespace {

bool same_format(const bsq_sequence& a, const bsq_sequence& b) {
  return a.width == b.width && a.height == b.height && a.chroma == b.chroma && a.alpha == b.alpha &&
         a.bit_depth == b.bit_depth && std::memcmp(a.model_id, b.model_id, BSQ_MODEL_ID_SIZE) == 0;
}

// Layers of a component that has no steps of its own.
[[noreturn]] void fail_layers(const std::string& what, size_t component, int layers, int before) {
  const std::string which =
      component == 0 ? "the packet" : "component " + std::to_string(component);
  throw Error(BSQ_ERROR_BITSTREAM, what + ", byte 1: " + which + " has " + std::to_string(layers) +
                                       " layers without steps, the one before had " +
                                       std::to_string(before));
}

std::vector<TileCounts> tile_counts(std::span<const Geometry> components) {
  std::vector<TileCounts> counts;
  for (const Geometry& geometry : components) {
    counts.push_back({geometry.tiles.size(), base_geometry(geometry).tiles.size()});
  }
  return counts;
}

}  // namespace

Decoder::Decoder(const bsq_decoder_config& config, std::vector<std::shared_ptr<const Model>> models,
                 FrameDecoderFactory factory)
    : config_(config),
      log_(config),
      models_(std::move(models)),
      factory_(std::move(factory)),
      pool_(thread_count(config.threads)) {
  require_unreserved(config, "config");
  if (config.max_level < 0 || config.max_level > kMaxLevel) {
    throw Error(BSQ_ERROR_ARGUMENT, "max_level is " + std::to_string(config.max_level) +
                                        ", it must be 0 to " + std::to_string(kMaxLevel));
  }
}

bsq_status Decoder::send(const bsq_packet& packet) {
  const SectionScope scope(Section::kOther);
  if (flushed_) {
    throw Error(BSQ_ERROR_STATE, "a packet was sent after the flush; reset the decoder first");
  }
  if (pending_) return BSQ_AGAIN;
  if (packet.data == nullptr && packet.size != 0) {
    throw Error(BSQ_ERROR_ARGUMENT, "the packet's data is NULL");
  }
  require_unreserved(packet, "packet");
  const std::string what = "packet " + std::to_string(packets_++);
  has_tokens_ = false;
  const PacketHeader* header = nullptr;
  try {
    header = &reader_.open({packet.data, packet.size}, what);
    decode(what);
  } catch (const Error& error) {
    if (error.status() != BSQ_ERROR_BITSTREAM) has_frame_ = false;
    if (header != nullptr) note_lost(*header);
    if (!has_frame_ || config_.strict != 0) throw;
    conceal(packet, header);
    log_concealed(error.what());
  } catch (...) {
    has_frame_ = false;
    throw;
  }
  return BSQ_OK;
}

void Decoder::decode(const std::string& what) {
  if (reader_.header().keyframe) {
    decode_keyframe(what);
  } else if (has_frame_) {
    decode_between(what);
  } else if (++dropped_ == 1) {
    log_(BSQ_LOG_WARNING, what + " and others before the first keyframe are dropped");
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

void Decoder::check_level(const bsq_sequence& sequence, const std::string& what) const {
  if (sequence.level <= config_.max_level) return;
  throw Error(BSQ_ERROR_UNSUPPORTED, what + ": the frame of " + std::to_string(sequence.width) +
                                         "x" + std::to_string(sequence.height) + " has level " +
                                         std::to_string(sequence.level) + ", above the limit of " +
                                         std::to_string(config_.max_level) + " set by max_level");
}

Decoder::FrameDecoders Decoder::make_decoders(std::span<const Geometry> components,
                                              const Model& model) {
  FrameDecoders decoders;
  for (const Geometry& geometry : components) {
    decoders.push_back(factory_(geometry, model, pool_));
  }
  return decoders;
}

// The reader has the frame, and its headers have their steps filled in.
void Decoder::decode_components(const FrameDecoders& decoders, const FrameRole& role,
                                const std::string& what) {
  coded_.role = role;
  coded_.packet = reader_.packet().data();
  coded_.coders = &coders_;
  for (size_t i = 0; i < decoders.size(); ++i) {
    coded_.data = &reader_.read_payloads(i);
    coded_.what = what;
    if (i > 0) coded_.what.append(", component ").append(std::to_string(i));
    coded_.first = i > 0 ? decoders[0].get() : nullptr;
    decoders[i]->decode(coded_, i == 0 ? kept_layers() : nullptr);
  }
}

void Decoder::end_frame(const FrameRole& role) {
  for (const auto& decoder : decoders_) decoder->end_frame();
  headers_.clear();
  for (const FrameData& data : reader_.components()) headers_.push_back(data.header);
  slots_.done(role, headers_);
  if (config_.keep_layers != 0 && role.hold >= 0) {
    held_layers_[static_cast<size_t>(role.hold)] = layers_;
  }
}

void Decoder::decode_keyframe(const std::string& what) {
  const PacketHeader& header = reader_.header();
  const bsq_sequence& info = header.sequence.info;
  check_level(info, what);
  const std::shared_ptr<const Model> model = find_model(info, what);
  FrameRole role;
  role.hold = 0;
  reader_.list_frames();
  if (!decoders_.empty() && same_format(info, sequence_.info)) {
    reader_.read_frame(tiles_);
    decode_components(decoders_, role, what);
  } else {
    const std::vector<Geometry> components = component_geometries(info);
    std::vector<TileCounts> tiles = tile_counts(components);
    reader_.read_frame(tiles);
    // The old decoders stay until the frame is decoded: they may be needed for concealment.
    FrameDecoders fresh = make_decoders(components, *model);
    decode_components(fresh, role, what);
    decoders_ = std::move(fresh);
    tiles_ = std::move(tiles);
    log_(BSQ_LOG_DEBUG, what + ": frames of " + std::to_string(info.width) + "x" +
                            std::to_string(info.height) + ", model " + model->name());
  }
  sequence_ = header.sequence;
  has_sequence_ = true;
  keyframe_pts_ = header.pts;
  group_counter_ = header.group_counter;
  end_frame(role);
  show(-1, keyframe_pts_, false);
}

void Decoder::check_continuity(const PacketHeader& header, const std::string& what) const {
  const auto fail = [&](const std::string& message) {
    throw Error(BSQ_ERROR_BITSTREAM, what + ", byte 1: " + message);
  };
  if (header.group_counter != group_counter_) {
    fail("the packet belongs to another group than the frame before: a keyframe is missing");
  }
  if (header.index <= last_index_) {
    fail("the packet has index " + std::to_string(header.index) + " in its group after index " +
         std::to_string(last_index_));
  }
}

// Of components that have the steps of the coding state.
void Decoder::fill_steps(const FrameRole& role, const std::string& what) {
  const std::span<FrameData> components = reader_.components();
  for (size_t i = 0; i < components.size(); ++i) {
    ComponentHeader& header = components[i].header;
    if (header.has_steps) continue;
    const ComponentHeader& before = slots_.components(role.coding)[i];
    if (header.layers != before.layers) fail_layers(what, i, header.layers, before.layers);
    header.steps = before.steps;
  }
}

// The next frame of the packet. Returns its role, or nothing where it is lost.
std::optional<FrameRole> Decoder::decode_frame(const std::string& what) {
  const FrameHeader& frame = reader_.read_frame(tiles_);
  const uint64_t index = uint64_t{reader_.header().index} + static_cast<uint64_t>(frame.ahead);
  const auto fail = [&](const std::string& message) {
    throw Error(BSQ_ERROR_BITSTREAM, what + ", byte 1: " + message);
  };
  if (index > kMaxIndex) fail("the index of a frame in the group is out of range");
  std::optional<FrameRole> role;
  try {
    role = slots_.role(frame, false, static_cast<uint32_t>(index));
  } catch (const Error& error) {
    fail(error.what());
  }
  if (!role) return std::nullopt;
  fill_steps(*role, what);
  decode_components(decoders_, *role, what);
  end_frame(*role);
  return role;
}

// Returns the role of the last frame, which the packet shows; nothing where it is lost, or where
// there is none.
std::optional<FrameRole> Decoder::decode_frames(const std::string& what) {
  std::optional<FrameRole> role;
  try {
    reader_.list_frames();
    for (int i = 0; i < reader_.header().frames; ++i) role = decode_frame(what);
  } catch (...) {
    slots_.clear();
    throw;
  }
  return role;
}

void Decoder::decode_between(const std::string& what) {
  const PacketHeader& header = reader_.header();
  check_continuity(header, what);
  const int64_t pts = packet_pts(header, keyframe_pts_, sequence_.ticks_per_frame, what);
  if (pts <= last_pts_) {
    throw Error(BSQ_ERROR_BITSTREAM, what + ", byte 1: the timestamp does not rise");
  }
  if (const std::optional<FrameRole> role = decode_frames(what)) {
    show(-1, pts, role->distances.forth > 0);
  } else if (const auto slot = slots_.find(header.index); slot && header.frames == 0) {
    show(*slot, pts, slots_.is_two_sided(*slot));
  } else {
    throw Error(BSQ_ERROR_BITSTREAM,
                what + ", byte 1: the frame, or one that it refers to, is lost or not held");
  }
}

// The packet shows the frame in the slot; -1: the frame that ended last.
void Decoder::show(int slot, int64_t pts, bool b_frame) {
  const PacketHeader& header = reader_.header();
  for (const auto& decoder : decoders_) decoder->present(slot);
  has_tokens_ = slot < 0 || config_.keep_layers != 0;
  if (slot >= 0 && has_tokens_) layers_ = held_layers_[static_cast<size_t>(slot)];
  last_index_ = header.index;
  has_frame_ = true;
  const int64_t duration =
      header.has_duration ? static_cast<int64_t>(header.duration) : sequence_.ticks_per_frame;
  pending_ = Pending{pts, duration, header.keyframe, b_frame, false};
  last_pts_ = shown_pts_ = pts;
  last_duration_ = duration;
  if (concealed_ > 0 && log_) {
    log_(BSQ_LOG_INFO, std::to_string(concealed_) + " frames up to pts " + std::to_string(pts) +
                           " were concealed");
  }
  concealed_ = 0;
}

// The packet's own time where it can be read, else the container's, else the next tick expected;
// always later than the frame before. Where it is later than that of the next intact packet too,
// that one's counts all the same.
int64_t Decoder::concealed_pts(const bsq_packet& packet, const PacketHeader* header) const {
  if (header != nullptr && header->keyframe && header->pts > shown_pts_) return header->pts;
  // Another group counter belongs to a group whose keyframe is lost: its base is unknown.
  if (header != nullptr && !header->keyframe && header->group_counter == group_counter_) {
    const auto pts = packet_time(*header, keyframe_pts_, sequence_.ticks_per_frame);
    if (pts && *pts > shown_pts_) return *pts;
  }
  if (packet.pts > shown_pts_ && packet.pts <= kMaxTimestamp) return packet.pts;
  return shown_pts_ + std::clamp<int64_t>(last_duration_, 1, kMaxTicksPerFrame);
}

// The packet could be read, but not what it shows.
void Decoder::note_lost(const PacketHeader& header) {
  if (header.keyframe) {
    slots_.clear();
    keyframe_pts_ = last_pts_ = header.pts;
    last_index_ = 0;
    group_counter_ = header.group_counter;
  } else if (header.group_counter == group_counter_) {
    last_index_ = std::max(last_index_, header.index);
    const auto pts = packet_time(header, keyframe_pts_, sequence_.ticks_per_frame);
    last_pts_ = std::max(last_pts_, pts.value_or(last_pts_));
  } else {
    slots_.clear();  // of a group that is over
  }
}

void Decoder::conceal(const bsq_packet& packet, const PacketHeader* header) {
  const int64_t pts = concealed_pts(packet, header);
  pending_ = Pending{pts, last_duration_, false, false, true};
  shown_pts_ = pts;
}

// The first frame of a row is a warning, the others are details.
void Decoder::log_concealed(const char* why) {
  ++concealed_;
  if (!log_) return;
  log_(concealed_ == 1 ? BSQ_LOG_WARNING : BSQ_LOG_DEBUG,
       "the frame at pts " + std::to_string(shown_pts_) + " repeats the one before: " + why);
}

void Decoder::flush() {
  if (flushed_) throw Error(BSQ_ERROR_STATE, "the decoder has been flushed already");
  flushed_ = true;
}

bsq_status Decoder::receive(bsq_frame& frame) {
  const SectionScope scope(Section::kOther);
  if (!pending_) return flushed_ ? BSQ_EOF : BSQ_AGAIN;
  frame = bsq_frame{};
  const SectionScope inner(Section::kExport);
  frame.width = sequence_.info.width;
  frame.height = sequence_.info.height;
  frame.chroma = sequence_.info.chroma;
  frame.bit_depth = sequence_.info.bit_depth;
  for (const auto& component : decoders_) component->show(frame);
  frame.pts = pending_->pts;
  frame.duration = pending_->duration;
  frame.keyframe = pending_->keyframe ? 1 : 0;
  frame.b_frame = pending_->b_frame ? 1 : 0;
  frame.concealed = pending_->concealed ? 1 : 0;
  pending_.reset();
  return BSQ_OK;
}

void Decoder::reset() {
  has_sequence_ = false;
  has_frame_ = false;
  has_tokens_ = false;
  slots_.clear();
  flushed_ = false;
  packets_ = 0;
  concealed_ = 0;
  dropped_ = 0;
  pending_.reset();
}

}  // namespace bsq
