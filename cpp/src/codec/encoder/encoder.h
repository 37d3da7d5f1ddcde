// The encoder: pictures in, packets out.
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
  // `pictures` makes the encoders of the components; `kernels` are for what the processor does all
  // the same. Throws Error(BSQ_ERROR_ARGUMENT) naming the setting that is out of range.
  Encoder(const bsq_encoder_config& config, const std::shared_ptr<const Model>& model,
          const KernelTable& kernels, const PictureEncoderFactory& pictures);

  const std::vector<uint8_t>& header() const { return header_; }
  // BSQ_OK, or BSQ_AGAIN when a packet waits to be received. Throws Error.
  bsq_status send(const bsq_picture& picture);
  void flush();
  bsq_status receive(bsq_packet& packet);
  const bsq_packet_stats& stats() const { return stats_; }
  const bsq_pass_record& pass_record() const { return record_; }
  bsq_rate_report rate_report() const;

  // SHA-256 of the last picture as a decoder shows it, in hexadecimal; for tests. Before the first
  // picture, of no bytes.
  std::string reconstruction_hash();
  // Notes the layers of the first component from now on, until they are taken; for training.
  void trace() { pictures_->trace(&layers_); }
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
  // A picture's packet, and what it was made of.
  struct Coded {
    std::span<const uint8_t> packet;  // until the next one is written
    StepList steps;                   // q of every layer of the first component
    bsq_packet_stats stats{};

    double bits() const { return 8.0 * static_cast<double>(packet.size()); }
  };

  // A picture that waits to be coded.
  struct Source {
    Frame frame;
    std::vector<Frame> others;  // of the components after the first
    int64_t pts = 0;
    int64_t duration = 0;
    bool keyframe = false;   // asked for
    bool look_only = false;  // another encoder codes it
    PictureCosts costs;      // with a look-ahead
  };

  void check_times(const bsq_picture& picture) const;
  void predict();
  bool wants_keyframe(const Source& picture);
  bool is_cut();
  Source make_source();
  void import(const bsq_picture& picture, Source& source) const;
  int search_range() const;
  PacketHeader make_header(const Source& picture, bool keyframe) const;
  int64_t deviation(int64_t pts) const;
  double seconds(int64_t ticks) const;
  double shown_seconds(const Source& picture) const;
  void begin_group(const Source& picture);
  bool follows_crf() const { return !rate_ || rate_->is_cap(); }
  void choose_step(bool keyframe);
  int step_floor() const;
  void take_step(int c);
  Coded code(const Source& picture, bool keyframe);
  Coded code_within_rate(const Source& picture, bool& keyframe);
  void look_before(const bsq_picture& picture);
  void enqueue(const bsq_picture& picture);
  void encode_next();
  void encode(const Source& picture);
  size_t horizon() const;
  bool continues_scene(const Source& picture) const;
  void plan(const Source& picture, bool keyframe);
  bsq_packet_stats make_stats(const PictureCounts& counts);

  const bsq_encoder_config config_;
  const Geometry geometry_;  // of the first component
  SequenceHeader sequence_;
  std::vector<uint8_t> header_;
  ThreadPool pool_;
  const Tuning& tuning_;
  const std::unique_ptr<PictureEncoder> pictures_;  // of the first component
  // docs/numerics.md section 3: of the stream, and that of the picture where there is a rate to
  // keep.
  const int crf_q_;
  int q_;
  std::vector<const PictureCosts*> known_costs_;       // of the picture and those that wait
  std::vector<std::unique_ptr<EncComponent>> others_;  // the components after the first
  std::unique_ptr<RateControl> rate_;
  std::optional<LowAnalysis> analysis_;  // with a look-ahead
  std::vector<Source> queue_;
  std::vector<Source> spare_;  // whose frames serve again
  EnergyCounter energies_;
  Importance importance_;
  OffsetPlan plan_;                // of the picture at work
  std::vector<PictureData> data_;  // of its components
  PacketWriter writer_;
  int keyframe_gain_ = 0;  // of the last keyframe
  Frame source_;
  Frame previous_source_;  // for scene cuts, with its prediction; luma only
  Frame cut_prediction_;

  bool preceded_ = false;  // the picture before the first has been looked at
  bool ended_ = false;     // the last picture to be coded has been sent
  bool started_ = false;
  bool broken_ = true;  // the next picture must be a keyframe
  bool flushed_ = false;
  int index_ = 0;        // of the next picture in its group
  bool parity_ = false;  // of the group
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
