// Coding order and slots of a hierarchical group.
#include "codec/encoder/gop_structure.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>

#include "bitstream/limits.h"

namespace bsq {
namespace {

constexpr int kKeyframe = 0;  // its index

// The frames between two that are coded, and the packets of all: a frame goes into that of the
// first one before it that is not coded yet.
void append_between(int begin, int end, int level, std::vector<GopFrame>& frames) {
  if (end - begin < 2) return;
  const int middle = (begin + end) / 2;
  GopFrame frame;
  frame.index = middle;
  frame.first = begin;
  frame.second = end;
  frame.level = level;
  frame.slot = GopFrame::kNone;
  frame.packet = begin + 1;
  frames.push_back(frame);
  append_between(begin, middle, level + 1, frames);
  append_between(middle, end, level + 1, frames);
}

bool is_reference(int index, std::span<const GopFrame> later) {
  return std::any_of(later.begin(), later.end(), [&](const GopFrame& frame) {
    return frame.first == index || frame.second == index;
  });
}

// Which frame every slot holds.
class Slots {
 public:
  explicit Slots(const GroupStart& start) {
    if (start.earlier > kKeyframe) held_[static_cast<size_t>(start.earlier_slot)] = start.earlier;
    held_[static_cast<size_t>(start.slot)] = start.index;
  }

  // Gives up frames that are shown before the packet and that none of `later` refers to, but not
  // the keyframe, `first` and `last`.
  void release(int packet, std::span<const GopFrame> later, int first, int last) {
    for (int& held : held_) {
      if (held == kKeyframe || held == first || held == last || held >= packet) continue;
      if (!is_reference(held, later)) held = kFree;
    }
  }
  int take(int index) {
    const auto free = std::find(held_.begin(), held_.end(), kFree);
    *free = index;
    return static_cast<int>(free - held_.begin());
  }

 private:
  static constexpr int kFree = -1;

  std::array<int, kSlots> held_{kKeyframe, kFree, kFree, kFree, kFree, kFree};
};

GopFrame anchor_of(const GroupStart& start, int end) {
  GopFrame anchor;
  anchor.index = end;
  anchor.first = start.index;
  anchor.slot = GopFrame::kNone;
  anchor.packet = start.index + 1;
  if (start.index == kKeyframe) return anchor;
  anchor.second = kKeyframe;
  anchor.optional = end - start.index == 1;
  if (start.earlier > kKeyframe && !anchor.optional) anchor.other = start.earlier;
  return anchor;
}

}  // namespace

void append_group(GroupStart& start, int end, std::vector<GopFrame>& frames) {
  const size_t count = frames.size();
  frames.push_back(anchor_of(start, end));
  append_between(start.index, end, 1, frames);
  const std::span<GopFrame> group = std::span(frames).subspan(count);
  Slots slots(start);
  for (size_t i = 0; i < group.size(); ++i) {
    GopFrame& frame = group[i];
    const std::span<const GopFrame> later = group.subspan(i + 1);
    // A frame may take the slot of its own reference, but none that the next anchor may refer to.
    slots.release(frame.packet, later, start.index, end);
    if (frame.index == end || frame.ahead() > 0 || is_reference(frame.index, later)) {
      frame.slot = slots.take(frame.index);
    }
  }
  start = {end, group.front().slot, start.index, start.slot};
}

}  // namespace bsq
