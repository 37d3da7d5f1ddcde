// Group control (GOP): which frames are keyframes, and the place of a frame in its group.
#pragma once

#include <cstddef>
#include <cstdint>

#include "bitstream/packet.h"
#include "bsq/bsq.h"
#include "codec/encoder/input_queue.h"
#include "codec/encoder/mode/decisions.h"

namespace bsq {

// A frame goes through begin_frame(), begin_group() where it is a keyframe, and end_frame().
class GopControl {
 public:
  GopControl(const bsq_encoder_config& config, const SequenceHeader& sequence);

  // Where a frame is in its group: in this one, or in one that is planned.
  struct Place {
    int index = 0;  // 0: the keyframe
    int64_t keyframe_pts = 0;
  };

  // Whether a group has no such place.
  bool is_over(const Place& place) const { return place.index >= gop_; }
  // Whether a frame that would have this place must be a keyframe, whatever it shows.
  bool needs_keyframe(const SourceFrame& frame, const Place& place) const;
  // Whether a scene cut there begins a group.
  bool allows_scene_cut(const Place& place) const;
  // There is no reference: the next frame must be a keyframe.
  bool broken() const { return broken_; }

  // After an exception before end_frame(), the next frame must be a keyframe.
  void begin_frame() { broken_ = true; }
  void begin_group(const SourceFrame& keyframe);
  void end_frame();

  const Place& place() const { return place_; }
  // Of the frame in its group; 0 is the keyframe.
  int index() const { return place_.index; }
  // The most frames of a group.
  int length() const { return gop_; }
  // Frames to the end of the group, this one included.
  int frames_left() const { return gop_ - place_.index; }
  // By how much the keyframe is finer than the frames predicted from it, in q.
  int keyframe_gain() const {
    return renews_scene_ ? kDecisions.renewal_gain : kDecisions.keyframe_gain;
  }
  // Whether the keyframe goes on with the scene before it, where another quality would be seen.
  bool renews_scene() const { return renews_scene_; }
  // What the packet says of the frame, without its layers.
  PacketHeader header(const SourceFrame& frame, bool keyframe) const;

 private:
  int64_t deviation(int64_t pts, const Place& place) const;
  bool continues_scene(const SourceFrame& keyframe) const;

  const SequenceHeader sequence_;
  const int gop_;
  const bool scene_cut_;
  const bool has_lookahead_;
  bool started_ = false;  // a frame has been coded
  bool broken_ = true;
  Place place_;  // of the next frame
  int group_counter_ = 0;
  bool renews_scene_ = false;  // the keyframe of this group
};

}  // namespace bsq
