// The hierarchical GOP: references, coding order and slots of the frames between two anchors.
#pragma once

#include <vector>

namespace bsq {

// A frame as it will be coded. Frames and packets are given by their index in the GOP, 0 being the
// keyframe; a packet has the index of the frame that it shows.
struct GopFrame {
  static constexpr int kNone = -1;

  int index = 0;
  int first = kNone;      // the first reference, shown before the frame
  int second = kNone;     // the second one of a B frame, shown after it, or, of an anchor, before
  int other = kNone;      // of an anchor: another frame that may be its second reference
  bool optional = false;  // of an anchor: it may as well have the first reference alone
  int level = 0;          // 0: a keyframe or an anchor; 1: the middle of a group; and so on
  int slot = 0;           // where it is held; kNone: nowhere, no other frame refers to it
  int packet = 0;         // which holds it

  bool keyframe() const { return first == kNone; }
  bool is_b() const { return second != kNone; }
  bool two_sided() const { return second > index; }
  // By how many frames it is coded ahead of its time.
  int ahead() const { return index - packet; }
};

// The largest group of frames from one anchor to the next.
inline constexpr int kMaxGroup = 16;

// Where a group begins.
struct GroupStart {
  int index = 0;  // of the anchor or keyframe before it, and its slot
  int slot = 0;
  int earlier = GopFrame::kNone;  // the anchor or keyframe before that one, likewise
  int earlier_slot = GopFrame::kNone;
};

// Appends the frames of a group up to its anchor `end`, in coding order: the anchor, then the frame
// in the middle, what is before it, what is after it, and so on. `end` is at most kMaxGroup after
// the start, which becomes that of the next group. The keyframe, held in slot 0, is a long-term
// reference: it is the second reference of every anchor, or else the anchor before the first one
// is. Where the first reference is the keyframe itself, the anchor is a P frame; where it is the
// frame before, it may be one.
void append_group(GroupStart& start, int end, std::vector<GopFrame>& frames);

}  // namespace bsq
