// Components into packets, and their statistics.
#include "codec/encoder/packet_encoder.h"

#include <algorithm>
#include <cmath>

#include "base/sha256.h"
#include "base/status.h"
#include "codec/common/frame_io.h"
#include "codec/encoder/encoder_settings.h"

namespace bsq {
namespace {

constexpr int kSearchRangeMedium = 64;
constexpr int kSearchRangeFast = 32;

using Role = ComponentEncoder::Role;

Role role_of(size_t component, size_t count, const bsq_sequence& sequence) {
  if (component == 0) return Role::kFirst;
  return sequence.alpha != 0 && component + 1 == count ? Role::kAlpha : Role::kChroma;
}

double psnr(int64_t squared_error, const Geometry& g) {
  if (squared_error == 0) return 100.0;
  const double peak = (1 << g.bit_depth) - 1;
  const double samples = static_cast<double>(g.width) * g.height;
  return std::min(100.0,
                  10.0 * std::log10(peak * peak * samples / static_cast<double>(squared_error)));
}

void add(const EncodedFrame& encoded, SymbolCosts& costs, bsq_packet_stats& stats) {
  costs += encoded.costs;
  stats.tokens += encoded.tokens;
  stats.coded_tokens += encoded.coded_tokens;
  stats.coded_stages += encoded.coded_stages;
}

}  // namespace

PacketEncoder::PacketEncoder(const bsq_encoder_config& config, const Model& model,
                             const FrameEncoderFactory& factory, ThreadPool& pool) {
  const std::vector<Geometry> geometries = component_geometries(config.sequence);
  const EncodingStyle style{tuning_of(config), config.preset, config.screen_content != 0};
  const int range = config.preset == BSQ_PRESET_FAST ? kSearchRangeFast : kSearchRangeMedium;
  components_.reserve(geometries.size());
  for (size_t i = 0; i < geometries.size(); ++i) {
    components_.emplace_back(role_of(i, geometries.size(), config.sequence),
                             factory(geometries[i], model, style, pool), range);
  }
  data_.resize(components_.size());
}

FrameRole PacketEncoder::role(const FrameHeader& frame, bool keyframe, uint32_t index) const {
  const std::optional<FrameRole> role = slots_.role(frame, keyframe, index);
  if (!role) throw Error(BSQ_ERROR_STATE, "a reference of the frame to code is not held");
  return *role;
}

void PacketEncoder::begin(std::span<const Frame> sources, const FrameRole& role) {
  role_ = role;
  for (size_t i = 0; i < components_.size(); ++i) {
    components_[i].begin(sources[i], role,
                         role.keyframe ? nullptr : &slots_.components(role.coding)[i]);
  }
}

FrameResult PacketEncoder::encode(const FrameHeader& frame, const FramePlan& plan) {
  FrameResult coded;
  SymbolCosts costs;
  for (size_t i = 0; i < components_.size(); ++i) {
    add(components_[i].encode(plan, components_.front(), data_[i]), costs, coded.stats);
  }
  writer_.set_frame(frame, data_);
  coded.packet_bits = 8.0 * static_cast<double>(writer_.size());
  coded.stats.motion_bits = costs.motion;
  coded.stats.flag_bits = costs.flags;
  coded.stats.delta_q_bits = costs.delta_q;
  coded.stats.sample_bits = costs.samples;
  coded.stats.token_bits = costs.tokens;
  coded.stats.ideal_bits = costs.all();
  return coded;
}

void PacketEncoder::end_frame(const Frame& original) {
  psnr_[0] = psnr(first().luma_error(original), first().geometry());
  if (role_.hold >= 0) psnr_[static_cast<size_t>(role_.hold + 1)] = psnr_[0];
  for (ComponentEncoder& component : components_) component.end_frame();
  headers_.clear();
  for (const FrameData& data : data_) headers_.push_back(data.header);
  slots_.done(role_, headers_);
  writer_.add_frame();
  started_ = true;
}

std::span<const uint8_t> PacketEncoder::finish(uint32_t index) {
  shown_ = role_.index == index && writer_.has_frames() ? -1 : slots_.find(index).value_or(-1);
  return writer_.finish();
}

std::string PacketEncoder::reconstruction_hash() {
  Sha256 hash;
  if (!started_) return to_hex(hash.digest());
  bsq_frame frame{};
  for (ComponentEncoder& component : components_) {
    FrameBuffer buffer;
    buffer.export_frame(component.frames().frame(shown_), component.geometry(), frame);
    for (const auto& samples : buffer.samples) hash.update(samples);
  }
  return to_hex(hash.digest());
}

}  // namespace bsq
