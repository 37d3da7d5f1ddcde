// Keyframes, and packet headers of the frames of a group.
#include "codec/encoder/gop_control.h"

#include "bitstream/limits.h"
#include "codec/encoder/aq/lookahead.h"
#include "codec/encoder/mode/decisions.h"

namespace bsq {

GopControl::GopControl(const bsq_encoder_config& config, const SequenceHeader& sequence)
    : sequence_(sequence),
      gop_(config.gop),
      scene_cut_(config.scene_cut != 0),
      has_lookahead_(config.lookahead > 0) {}

int64_t GopControl::deviation(int64_t pts) const {
  return pts - keyframe_pts_ - static_cast<int64_t>(index_) * sequence_.ticks_per_frame;
}

bool GopControl::needs_keyframe(const SourceFrame& frame) const {
  if (broken_ || frame.keyframe || index_ >= gop_) return true;
  const int64_t d = deviation(frame.pts);
  return d > kMaxTimestamp || d < -kMaxTimestamp;
}

bool GopControl::allows_scene_cut() const {
  return scene_cut_ && index_ >= kDecisions.cut_distance;
}

// Whether a keyframe shows the scene of the frame before it, which was predicted. Where all
// frames are keyframes they are all alike.
bool GopControl::continues_scene(const SourceFrame& keyframe) const {
  if (gop_ == 1) return false;
  if (!has_lookahead_) return started_ ? index_ >= gop_ : keyframe.has_before;
  return keyframe.has_before && continues(keyframe.costs);
}

void GopControl::begin_group(const SourceFrame& keyframe) {
  keyframe_gain_ = continues_scene(keyframe) ? kDecisions.renewal_gain : kDecisions.keyframe_gain;
  index_ = 0;
  group_toggle_ = started_ && !group_toggle_;
  keyframe_pts_ = keyframe.pts;
}

void GopControl::end_frame() {
  started_ = true;
  broken_ = false;
  ++index_;
}

PacketHeader GopControl::header(const SourceFrame& frame, bool keyframe) const {
  PacketHeader header;
  header.keyframe = keyframe;
  header.group_toggle = group_toggle_;
  if (keyframe) {
    header.sequence = sequence_;
    header.pts = frame.pts;
  } else {
    header.index = static_cast<uint32_t>(index_);
    header.deviation = deviation(frame.pts);
  }
  header.duration = static_cast<uint64_t>(frame.duration);
  header.has_duration = header.duration != 0 && header.duration != sequence_.ticks_per_frame;
  return header;
}

}  // namespace bsq
