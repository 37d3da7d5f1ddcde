// The components after the first at the encoder (docs/bitstream.md section 2.3): they follow the
// decisions taken for the first one.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/plane.h"
#include "bitstream/packet.h"
#include "codec/encoder/frame_encoder.h"

namespace bsq {

// The encoder's result as a packet holds it, in `data`. `last_steps`: c of the layers in the packet
// before, of which the packet is silent where they are the same; replaced by those of this one.
void describe_frame(const EncodedFrame& encoded, bool keyframe, StepList& last_steps,
                    FrameData& data);

// What encoding took, summed up over components.
struct FrameCounts {
  SymbolCosts costs;
  int64_t tokens = 0;
  int64_t coded_tokens = 0;
  int64_t coded_stages = 0;

  void add(const EncodedFrame& encoded) {
    costs += encoded.costs;
    tokens += encoded.tokens;
    coded_tokens += encoded.coded_tokens;
    coded_stages += encoded.coded_stages;
  }
};

// What was decided for the frame.
struct FramePlan {
  int q = 0;
  bool keyframe = false;
  std::span<const int16_t> delta_q;  // of the first component's superblocks
  int search_range = 0;
  int keyframe_gain = 0;  // how much finer a keyframe ends

  // q of the layers of a component at the step own_q, whose superblocks have these delta_q.
  // `based`: keyframes have a base frame.
  StepList steps(int own_q, std::span<const int16_t> own_delta_q, bool based) const;
};

class ComponentEncoder {
 public:
  enum class Kind { kChroma, kAlpha };

  ComponentEncoder(Kind kind, std::unique_ptr<FrameEncoder> encoder);

  const Geometry& geometry() const { return encoder_->geometry(); }
  // The frame shown last.
  const Frame& frame() const { return encoder_->frame(); }
  // Adds to `sum`. Chroma moves as the first component does.
  void encode(const FramePlan& plan, const FrameEncoder& first, FrameCounts& sum, FrameData& data);
  // The frame is done: the next one builds on it.
  void end_frame();

  Frame source;

 private:
  int own_q(int q) const;
  void map_delta_q(const FramePlan& plan, const Geometry& first);

  const Kind kind_;
  const std::unique_ptr<FrameEncoder> encoder_;
  std::vector<int16_t> moved_;  // delta q of the frame at work
  StepList last_steps_;
  StepList steps_;  // of the frame at work
};

}  // namespace bsq
