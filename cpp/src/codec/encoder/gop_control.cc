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

int64_t GopControl::deviation(int64_t pts, const Place& place) const {
  return pts - place.keyframe_pts - static_cast<int64_t>(place.index) * sequence_.ticks_per_frame;
}

bool GopControl::needs_keyframe(const SourceFrame& frame, const Place& place) const {
  if (frame.keyframe || is_over(place)) return true;
  const int64_t d = deviation(frame.pts, place);
  return d > kMaxTimestamp || d < -kMaxTimestamp;
}

bool GopControl::allows_scene_cut(const Place& place) const {
  return scene_cut_ && place.index >= kDecisions.cut_distance;
}

// Whether a keyframe shows the scene of the frame before it, which was predicted. Where all
// frames are keyframes they are all alike.
bool GopControl::continues_scene(const SourceFrame& keyframe) const {
  if (gop_ == 1) return false;
  if (!has_lookahead_) return started_ ? is_over(place_) : keyframe.has_before;
  return keyframe.has_before && continues(keyframe.costs);
}

void GopControl::begin_group(const SourceFrame& keyframe) {
  renews_scene_ = continues_scene(keyframe);
  place_ = {0, keyframe.pts};
  if (started_) group_counter_ = (group_counter_ + 1) % kGroupCounters;
}

void GopControl::end_frame() {
  started_ = true;
  broken_ = false;
  ++place_.index;
}

PacketHeader GopControl::header(const SourceFrame& frame, bool keyframe) const {
  PacketHeader header;
  header.keyframe = keyframe;
  header.group_counter = group_counter_;
  if (keyframe) {
    header.sequence = sequence_;
    header.pts = frame.pts;
  } else {
    header.index = static_cast<uint32_t>(place_.index);
    header.deviation = deviation(frame.pts, place_);
  }
  header.duration = static_cast<uint64_t>(frame.duration);
  header.has_duration = header.duration != 0 && header.duration != sequence_.ticks_per_frame;
  return header;
}

}  // namespace bsq
