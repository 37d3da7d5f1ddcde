// The hierarchical GOP: references, coding order and slots of the frames between two anchors.
#pragma once

#include <vector>

namespace bsq {

// A frame as it will be coded. Frames and packets are given by their index in the GOP, 0 being the
// keyframe; a packet has the index of the frame that it shows.
struct GopFrame {
  static constexpr int kNone = -1;

  int index = 0;
  int first = kNone;   // the first reference, shown before the frame
  int second = kNone;  // the second one of a B frame, shown after it
  int level = 0;       // 0: a keyframe or an anchor; 1: the middle of a group; and so on
  int slot = 0;        // where it is held; kNone: nowhere, no other frame refers to it
  int packet = 0;      // which holds it

  bool keyframe() const { return first == kNone; }
  bool two_sided() const { return second != kNone; }
  // By how many frames it is coded ahead of its time.
  int ahead() const { return index - packet; }
};

// The largest group of frames from one anchor to the next, and how many slots it may take.
inline constexpr int kMaxGroup = 16;
inline constexpr int kMaxGroupSlots = 5;

// Appends the frames after the anchor or keyframe `begin`, held in the slot `begin_slot`, up to the
// next anchor `end`, in coding order: the anchor, a P frame, then the frame in the middle, what is
// before it, what is after it, and so on. Returns the slot of the new anchor, which nothing in the
// group frees. `end` is at most kMaxGroup after `begin`.
int append_group(int begin, int end, int begin_slot, std::vector<GopFrame>& frames);

}  // namespace bsq
