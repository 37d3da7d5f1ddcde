// Encodes frames, all of their components, into packets.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/plane.h"
#include "base/thread_pool.h"
#include "bitstream/packet_writer.h"
#include "bsq/bsq.h"
#include "codec/common/reference_slots.h"
#include "codec/encoder/component_encoder.h"
#include "codec/encoder/frame_encoder.h"
#include "network/model.h"

namespace bsq {

struct FrameResult {
  double packet_bits = 0;  // of the packet up to this frame
  bsq_packet_stats stats{};
};

// A packet goes through begin_packet(); then for each of its frames begin(); predict(), unless it
// is a keyframe; encode(), after begin() once more where the result is not wanted; end_frame();
// then finish().
class PacketEncoder {
 public:
  // `factory` makes the encoders of the components. Model and pool must outlive the object.
  PacketEncoder(const bsq_encoder_config& config, const Model& model,
                const FrameEncoderFactory& factory, ThreadPool& pool);

  // `header`: without the counts of frames. It may be set anew before a frame is added.
  void begin_packet(const PacketHeader& header) { writer_.begin(header); }
  // The role of a frame of this index in the group, of which the references are held.
  FrameRole role(const FrameHeader& frame, bool keyframe, uint32_t index) const;
  // The components' samples, which must stay as they are until end_frame().
  void begin(std::span<const Frame> sources, const FrameRole& role);
  // Motion and prediction of the first component, at q.
  void predict(int q) { components_.front().predict(q); }
  FrameResult encode(const FrameHeader& frame, const FramePlan& plan);
  // `original`: the first component before any filter, for PSNR.
  void end_frame(const Frame& original);
  // The packet, which shows the frame of this index; it lasts until the next one begins.
  std::span<const uint8_t> finish(uint32_t index);
  // PSNR of the luma of that frame, in dB.
  double shown_psnr() const { return psnr_[static_cast<size_t>(shown_ + 1)]; }

  // The encoder of the first component, from which the frame is planned.
  FrameEncoder& first() { return components_.front().frames(); }
  // SHA-256 of the frame that the last packet shows, as a decoder shows it, in hexadecimal; for
  // tests. Before the first frame, of no bytes.
  std::string reconstruction_hash();

 private:
  std::vector<ComponentEncoder> components_;
  std::vector<FrameData> data_;  // by component
  std::vector<ComponentHeader> headers_;
  ReferenceSlots slots_;
  FrameRole role_;                         // of the frame at work
  int shown_ = -1;                         // its slot, or -1: it ended last
  std::array<double, kSlots + 1> psnr_{};  // of the frame that ended last, and then by slot
  PacketWriter writer_;
  bool started_ = false;  // there is a last frame
};

}  // namespace bsq
