// Checks of an encoder's settings, and what is made of them.
#include "codec/encoder/encoder_settings.h"

#include <algorithm>
#include <string>

#include "base/quant_step.h"
#include "base/status.h"
#include "bitstream/limits.h"
#include "codec/common/reserved.h"
#include "codec/encoder/setting_table.h"

namespace bsq {
namespace {

void require(bool good, const std::string& message) {
  if (!good) throw Error(BSQ_ERROR_ARGUMENT, message);
}

}  // namespace

bsq_encoder_config checked(const bsq_encoder_config& config) {
  check_sequence(config.sequence);
  require_unreserved(config.sequence, "sequence");
  require_unreserved(config, "config");
  check_settings(config);
  require(config.maxrate == 0.0 || config.maxrate >= config.bitrate,
          "maxrate must not be below bitrate");
  require(config.first_pass != nullptr || config.first_pass_count == 0, "first_pass is NULL");
  require(config.bitrate != 0.0 || config.first_pass_count == 0,
          "first_pass is of use with a bitrate only");
  bsq_encoder_config kept = config;
  kept.first_pass = nullptr;  // the caller's
  // Other formats have their chroma in components, with a q of its own.
  const bool is_420 = config.sequence.chroma == BSQ_CHROMA_420;
  kept.sequence.chroma_crf_offset = is_420 ? config.chroma_crf_offset : 0;
  return kept;
}

namespace {

std::vector<PassRecord> checked_records(const bsq_encoder_config& config) {
  std::vector<PassRecord> records;
  records.reserve(config.first_pass_count);
  for (size_t i = 0; i < config.first_pass_count; ++i) {
    const bsq_pass_record& r = config.first_pass[i];
    const std::string name = "first_pass[" + std::to_string(i) + "]";
    require_unreserved(r, name.c_str());
    require(r.seconds >= 0.0 && r.seconds <= 1e9, name + ".seconds is out of range");
    require(r.bits >= 1.0 && r.bits <= 1e12, name + ".bits is out of range");
    require(r.crf >= 0.0 && r.crf <= kMaxCrf, name + ".crf must be 0 to 63");
    records.push_back({r.seconds, r.bits, c_of_crf(r.crf), r.keyframe != 0});
  }
  return records;
}

}  // namespace

std::unique_ptr<RateControl> make_rate(const bsq_encoder_config& config) {
  const bool is_cap = config.bitrate == 0.0;
  const double maxrate = config.maxrate > 0.0 ? config.maxrate : config.bitrate;
  const RateGoal goal{is_cap ? config.maxrate : config.bitrate, maxrate, config.vbv_buffer_seconds,
                      is_cap, is_cap ? c_of_q(q_of_crf(config.crf)) : 0.0};
  if (maxrate == 0.0) return nullptr;
  const std::vector<PassRecord> records = checked_records(config);
  return std::make_unique<RateControl>(
      goal, config.gop, plan_rate(records, {goal.bitrate, maxrate, goal.vbv_buffer_bits()}));
}

const Tuning& tuning_of(const bsq_encoder_config& config) {
  return kTunings[static_cast<size_t>(config.tune)];
}

SequenceHeader make_sequence(const bsq_encoder_config& config, const Model& model) {
  SequenceHeader sequence;
  sequence.info = config.sequence;
  sequence.info.version = kCodestreamVersion;
  sequence.info.level = frame_level(sequence.info);
  std::copy(model.id().begin(), model.id().end(), sequence.info.model_id);
  sequence.ticks_per_frame = ticks_per_frame(config.sequence);
  return sequence;
}

std::vector<uint8_t> header_bytes(const SequenceHeader& sequence) {
  ByteWriter writer;
  ByteWriter fields;
  write_sequence_header(sequence, fields, writer);
  return writer.take();
}

}  // namespace bsq
