// Group control (GOP): which frames are keyframes, and the place of a frame in its group.
#pragma once

#include <cstddef>
#include <cstdint>

#include "bitstream/packet.h"
#include "bsq/bsq.h"
#include "codec/encoder/input_queue.h"

namespace bsq {

// A frame goes through begin_frame(), begin_group() where it is a keyframe, and end_frame().
class GopControl {
 public:
  GopControl(const bsq_encoder_config& config, const SequenceHeader& sequence);

  // Whether the frame must be a keyframe, whatever it shows.
  bool needs_keyframe(const SourceFrame& frame) const;
  // Whether a scene cut here begins a group.
  bool allows_scene_cut() const;

  // After an exception before end_frame(), the next frame must be a keyframe.
  void begin_frame() { broken_ = true; }
  void begin_group(const SourceFrame& keyframe);
  void end_frame();

  // Of the frame in its group; 0 is the keyframe.
  int index() const { return index_; }
  // Frames to the end of the group, this one included.
  int frames_left() const { return gop_ - index_; }
  // By how much the keyframe is finer than the frames predicted from it, in q.
  int keyframe_gain() const { return keyframe_gain_; }
  // How many of the following frames count in the propagation cost of a frame: as many as a group
  // can have after its first, wherever the frame is in its group. If those after the next keyframe
  // did not count, quality would fall towards it and jump there. Nothing propagates past a scene
  // cut anyway.
  size_t lookahead_horizon() const { return static_cast<size_t>(gop_ - 1); }
  // What the packet says of the frame, without its layers.
  PacketHeader header(const SourceFrame& frame, bool keyframe) const;

 private:
  int64_t deviation(int64_t pts) const;
  bool continues_scene(const SourceFrame& keyframe) const;

  const SequenceHeader sequence_;
  const int gop_;
  const bool scene_cut_;
  const bool has_lookahead_;
  bool started_ = false;  // a frame has been coded
  bool broken_ = true;    // there is no reference: the next frame must be a keyframe
  int index_ = 0;         // of the next frame
  bool group_toggle_ = false;
  int64_t keyframe_pts_ = 0;
  int keyframe_gain_ = 0;
};

}  // namespace bsq
