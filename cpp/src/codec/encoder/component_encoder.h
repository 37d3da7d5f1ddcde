// Encodes one component of a frame (docs/bitstream.md section 2.3): q, motion and layers, as the
// plan of the frame and the role of the component say.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/plane.h"
#include "bitstream/packet.h"
#include "codec/encoder/frame_encoder.h"

namespace bsq {

// What was decided for the frame.
struct FramePlan {
  int q = 0;
  FrameRole role;
  std::span<const int16_t> delta_q;  // of the first component's superblocks
  int keyframe_gain = 0;             // by how much a keyframe ends finer
};

// The first component leads. Chroma components of 4:2:2 and 4:4:4 have its motion and delta q;
// alpha has motion of its own, and no delta q, since no detail hides its errors.
class ComponentEncoder {
 public:
  enum class Role { kFirst, kChroma, kAlpha };

  // `search_range`: in luma samples.
  ComponentEncoder(Role role, std::unique_ptr<FrameEncoder> encoder, int search_range);

  const Geometry& geometry() const { return encoder_->geometry(); }
  FrameEncoder& frames() { return *encoder_; }

  // The frame to encode, which must stay as it is until end_frame(). `before`: the header of this
  // component in the coding state; null for a keyframe.
  void begin(const Frame& source, const FrameRole& role, const ComponentHeader* before);
  // Finds the motion at q, and predicts. encode() does so where it has not been done.
  void predict(int q);
  // Encodes the frame; once only after begin(). `first`: the first component, already encoded, or
  // this one. Payloads in `data` last until the next call.
  const EncodedFrame& encode(const FramePlan& plan, ComponentEncoder& first, FrameData& data);
  // The frame is done: it takes its slot.
  void end_frame() { encoder_->end_frame(); }

 private:
  int own_q(int q) const;
  void map_delta_q(const FramePlan& plan, const Geometry& first);
  StepList layers(const FramePlan& plan) const;
  void fill(const EncodedFrame& encoded, FrameData& data) const;

  Role role_;
  std::unique_ptr<FrameEncoder> encoder_;
  int search_range_;
  bool predicted_ = false;        // the frame at work
  std::vector<int16_t> delta_q_;  // of its superblocks; empty: all 0
  const ComponentHeader* before_ = nullptr;
};

}  // namespace bsq
