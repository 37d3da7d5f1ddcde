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
void describe_picture(const EncodedPicture& encoded, bool keyframe, StepList& last_steps,
                      PictureData& data);

// What encoding took, summed up over components.
struct PictureCounts {
  SymbolCosts costs;
  int64_t tokens = 0;
  int64_t coded_tokens = 0;
  int64_t coded_stages = 0;

  void add(const EncodedPicture& encoded) {
    costs += encoded.costs;
    tokens += encoded.tokens;
    coded_tokens += encoded.coded_tokens;
    coded_stages += encoded.coded_stages;
  }
};

// What was decided for the picture.
struct PicturePlan {
  int q = 0;
  bool keyframe = false;
  std::span<const int16_t> offsets;  // of the first component's windows
  int search_range = 0;
  int keyframe_gain = 0;  // how much finer a keyframe ends

  // q of the layers of a component at the step own_q, whose windows have these offsets. `based`:
  // keyframes have a base picture.
  StepList steps(int own_q, std::span<const int16_t> own_offsets, bool based) const;
};

class EncComponent {
 public:
  enum class Kind { kChroma, kAlpha };

  EncComponent(Kind kind, std::unique_ptr<PictureEncoder> pictures);

  const Geometry& geometry() const { return pictures_->geometry(); }
  // The picture shown last.
  const Frame& picture() const { return pictures_->picture(); }
  // Adds to `sum`. Chroma moves as the first component does.
  void encode(const PicturePlan& plan, const PictureEncoder& first, PictureCounts& sum,
              PictureData& data);
  // The picture is done: the next one builds on it.
  void end_picture();

  Frame source;

 private:
  int own_q(int q) const;
  void move_offsets(const PicturePlan& plan, const Geometry& first);

  const Kind kind_;
  const std::unique_ptr<PictureEncoder> pictures_;
  std::vector<int16_t> moved_;  // offsets of the picture at work
  StepList last_steps_;
  StepList steps_;  // of the picture at work
};

}  // namespace bsq
