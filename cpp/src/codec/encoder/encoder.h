// The encoder: frames in, packets out. A facade over the input queue, the planning of groups,
// adaptive quantization, the rate loop and the packet encoder.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/thread_pool.h"
#include "bitstream/sequence_header.h"
#include "bsq/bsq.h"
#include "codec/common/log.h"
#include "codec/encoder/aq/adaptive_quant.h"
#include "codec/encoder/frame_encoder.h"
#include "codec/encoder/gop_control.h"
#include "codec/encoder/gop_planner.h"
#include "codec/encoder/input_queue.h"
#include "codec/encoder/mode/scene_cut.h"
#include "codec/encoder/packet_encoder.h"
#include "codec/encoder/rate/rate_loop.h"
#include "codec/encoder/temporal_filter.h"
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
  // Of the packet received last.
  const bsq_packet_stats& stats() const { return out_.stats; }
  const bsq_pass_record& pass_record() const { return out_.record; }
  bsq_rate_report rate_report() const { return rate_.report(); }

  // See PacketEncoder.
  std::string reconstruction_hash() { return packets_.reconstruction_hash(); }
  // Notes the layers of the first component from now on, until they are taken; for training.
  void trace() { packets_.first().trace(&layers_); }
  std::vector<LayerTrace> take_layers() { return std::exchange(layers_, {}); }

 private:
  class FrameAtWork;

  struct Output {
    std::vector<uint8_t> data;
    int64_t pts = 0;
    int64_t duration = 0;
    bool keyframe = false;
    bool disposable = false;
    bsq_packet_stats stats{};
    bsq_pass_record record{};
  };

  bool is_scene_cut(const SourceFrame& frame);
  bool has_long_term() const;
  bool encode_frame(const GopFrame& frame, size_t place, const SourceFrame& shown);
  std::span<const Frame> filtered(const GopFrame& frame, size_t number);
  void encode_next();
  void encode(SourceFrame& frame);

  const bsq_encoder_config config_;
  const Log log_;
  const Geometry geometry_;  // of the first component
  const SequenceHeader sequence_;
  const std::vector<uint8_t> header_;
  ThreadPool pool_;
  InputQueue input_;
  GopControl gop_;
  GopPlanner planner_;
  SceneCutDetector scene_cut_;
  std::optional<TemporalFilter> temporal_filter_;
  AdaptiveQuant aq_;
  RateLoop rate_;
  PacketEncoder packets_;
  std::vector<GopFrame> packet_;    // the frames of the packet at work
  std::vector<int> packet_levels_;  // theirs
  std::vector<size_t> scene_;       // the neighbours of the frame that is filtered
  std::vector<TemporalNeighbour> neighbours_;
  bool flushed_ = false;
  bool waits_ = false;  // `next_` is to be received
  Output next_;
  Output out_;  // whose bytes the caller has
  std::vector<LayerTrace> layers_;
};

}  // namespace bsq
