// The components after the first at the encoder (docs/bitstream.md section 2.3): they follow the
// decisions taken for the first one.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/plane.h"
#include "bitstream/packet.h"
#include "codec/enc_picture.h"

namespace bsq {

// The encoder's result as a packet holds it, taken out of `encoded`. `last_steps`: c of the layers
// in the packet before, of which the packet is silent where they are the same; replaced by those of
// this one.
PictureData picture_data(EncodedPicture& encoded, int step_offset, bool keyframe,
                         std::vector<int>& last_steps);

// What was decided for the picture.
struct PicturePlan {
  int q = 0;
  bool keyframe = false;
  std::span<const int16_t> offsets;  // of the first component's windows
  int search_range = 0;
  int keyframe_gain = 0;  // how much finer a keyframe ends
};

class EncComponent {
 public:
  enum class Kind { kChroma, kAlpha };

  EncComponent(Kind kind, std::unique_ptr<PictureEncoder> pictures);

  const Geometry& geometry() const { return pictures_->geometry(); }
  // The picture shown last.
  const Frame& picture() const { return pictures_->picture(); }
  // Adds to the costs and counts of `sum`. Chroma moves as the first component does.
  PictureData encode(const PicturePlan& plan, const PictureEncoder& first, EncodedPicture& sum);
  // The picture is done: the next one builds on it.
  void end_picture();

  Frame source;

 private:
  int own_q(int q) const;
  std::vector<int16_t> offsets(const PicturePlan& plan, const Geometry& first) const;

  const Kind kind_;
  const std::unique_ptr<PictureEncoder> pictures_;
  std::vector<int> last_steps_;
  std::vector<int> steps_;  // of the picture at work
};

}  // namespace bsq
