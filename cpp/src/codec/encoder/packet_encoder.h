// Encodes a frame, all of its components, into a packet.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/plane.h"
#include "base/thread_pool.h"
#include "bitstream/packet.h"
#include "bitstream/packet_writer.h"
#include "bsq/bsq.h"
#include "codec/encoder/component_encoder.h"
#include "codec/encoder/frame_encoder.h"
#include "network/model.h"

namespace bsq {

struct CodedPacket {
  std::span<const uint8_t> bytes;  // until the next packet is encoded
  bsq_packet_stats stats{};

  double bits() const { return 8.0 * static_cast<double>(bytes.size()); }
};

// A frame goes through begin(); predict(), unless it is a keyframe; encode(), perhaps again as a
// keyframe; end_frame().
class PacketEncoder {
 public:
  // `factory` makes the encoders of the components. Model and pool must outlive the object.
  PacketEncoder(const bsq_encoder_config& config, const Model& model,
                const FrameEncoderFactory& factory, ThreadPool& pool);

  // The components' samples, which must stay as they are until end_frame().
  void begin(std::span<const Frame> sources);
  // Motion and prediction of the first component, at q.
  void predict(int q) { components_.front().predict(q); }
  // `header`: without the layers, which it takes from the plan.
  CodedPacket encode(PacketHeader header, const FramePlan& plan);
  void end_frame();

  // The encoder of the first component, from which the frame is planned.
  FrameEncoder& first() { return components_.front().frames(); }
  // SHA-256 of the last frame as a decoder shows it, in hexadecimal; for tests. Before the first
  // frame, of no bytes.
  std::string reconstruction_hash();

 private:
  std::vector<ComponentEncoder> components_;
  std::vector<FrameData> data_;  // by component
  PacketWriter writer_;
  bool started_ = false;  // there is a last frame
};

}  // namespace bsq
