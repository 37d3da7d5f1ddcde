// The encoder: frames in, packets out.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/plane.h"
#include "base/thread_pool.h"
#include "bitstream/packet.h"
#include "bsq/bsq.h"
#include "codec/common/log.h"
#include "codec/encoder/aq/adaptive_quant.h"
#include "codec/encoder/aq/lookahead.h"
#include "codec/encoder/aq/lowres_analysis.h"
#include "codec/encoder/component_encoder.h"
#include "codec/encoder/frame_encoder.h"
#include "codec/encoder/rate/rate_control.h"
#include "network/model.h"

namespace bsq {

class Encoder {
 public:
  // `factory` makes the encoders of the components; `kernels` are for what the processor does all
  // the same. Throws Error(BSQ_ERROR_ARGUMENT) naming the setting that is out of range.
  Encoder(const bsq_encoder_config& config, const std::shared_ptr<const Model>& model,
          const KernelTable& kernels, const FrameEncoderFactory& factory);

  const std::vector<uint8_t>& header() const { return header_; }
  // BSQ_OK, or BSQ_AGAIN when a packet waits to be received. Throws Error.
  bsq_status send(const bsq_frame& frame);
  void flush();
  bsq_status receive(bsq_packet& packet);
  const bsq_packet_stats& stats() const { return stats_; }
  const bsq_pass_record& pass_record() const { return record_; }
  bsq_rate_report rate_report() const;

  // SHA-256 of the last frame as a decoder shows it, in hexadecimal; for tests. Before the first
  // frame, of no bytes.
  std::string reconstruction_hash();
  // Notes the layers of the first component from now on, until they are taken; for training.
  void trace() { first_->trace(&layers_); }
  std::vector<LayerTrace> take_layers() { return std::exchange(layers_, {}); }

 private:
  struct Output {
    std::vector<uint8_t> data;
    int64_t pts = 0;
    int64_t duration = 0;
    bool keyframe = false;
    bsq_packet_stats stats{};
    bsq_pass_record record{};
  };
  // A frame's packet, and what it was made of.
  struct Coded {
    std::span<const uint8_t> packet;  // until the next one is written
    StepList steps;                   // q of every layer of the first component
    bsq_packet_stats stats{};

    double bits() const { return 8.0 * static_cast<double>(packet.size()); }
  };

  // A frame that waits to be coded.
  struct Source {
    Frame samples;
    std::vector<Frame> others;  // of the components after the first
    int64_t pts = 0;
    int64_t duration = 0;
    bool keyframe = false;      // asked for
    bool context_only = false;  // another encoder codes it
    FrameCosts costs;           // with a lookahead
  };

  void check_times(const bsq_frame& frame) const;
  bool wants_keyframe(const Source& frame);
  bool is_cut();
  Source make_source();
  void import(const bsq_frame& frame, Source& source) const;
  int search_range() const;
  PacketHeader make_header(const Source& frame, bool keyframe) const;
  int64_t deviation(int64_t pts) const;
  double seconds(int64_t ticks) const;
  double shown_seconds(const Source& frame) const;
  void begin_group(const Source& frame);
  bool follows_crf() const { return !rate_ || rate_->is_cap(); }
  void choose_q(bool keyframe);
  int q_floor() const;
  void take_q(int c);
  Coded code(const Source& frame, bool keyframe);
  Coded code_within_rate(const Source& frame, bool& keyframe);
  void take_context(const bsq_frame& frame);
  void enqueue(const bsq_frame& frame);
  void encode_next();
  void encode(const Source& frame);
  size_t horizon() const;
  bool continues_scene(const Source& frame) const;
  void plan(const Source& frame, bool keyframe);
  bsq_packet_stats make_stats(const FrameCounts& counts);

  void log_underflow(const Source& frame, double bits);
  void log_rate() const;

  const bsq_encoder_config config_;
  const Log log_;
  const Geometry geometry_;  // of the first component
  SequenceHeader sequence_;
  std::vector<uint8_t> header_;
  ThreadPool pool_;
  const Tuning& tuning_;
  const std::unique_ptr<FrameEncoder> first_;  // of the first component
  // docs/numerics.md section 3: of the stream, and that of the frame where there is a rate to
  // keep.
  const int crf_q_;
  int q_;
  std::vector<const FrameCosts*> known_costs_;             // of the frame and those that wait
  std::vector<std::unique_ptr<ComponentEncoder>> others_;  // the components after the first
  std::unique_ptr<RateControl> rate_;
  std::optional<LowresAnalysis> analysis_;  // with a lookahead
  std::vector<Source> queue_;
  std::vector<Source> spare_;  // whose frames serve again
  EnergyCounter energies_;
  PropagationCost propagation_;
  DeltaQPlan plan_;              // of the frame at work
  std::vector<FrameData> data_;  // of its components
  PacketWriter writer_;
  int keyframe_gain_ = 0;  // of the last keyframe
  Frame source_;
  Frame previous_source_;  // for scene cuts, with its prediction; luma only
  Frame cut_prediction_;

  bool preceded_ = false;  // the frame before the first has been looked at
  bool ended_ = false;     // the last frame to be coded has been sent
  bool started_ = false;
  bool broken_ = true;  // the next frame must be a keyframe
  bool flushed_ = false;
  int index_ = 0;              // of the next frame in its group
  bool group_toggle_ = false;  // of the group
  StepList last_steps_;
  int64_t keyframe_pts_ = 0;
  int64_t last_pts_ = 0;
  bool waits_ = false;  // `next_` is to be received
  Output next_;
  Output out_;  // whose bytes the caller has
  bsq_packet_stats stats_{};
  bsq_pass_record record_{};
  std::vector<LayerTrace> layers_;
};

}  // namespace bsq
