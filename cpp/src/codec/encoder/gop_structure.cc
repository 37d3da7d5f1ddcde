// Coding order and slots of a hierarchical group.
#include "codec/encoder/gop_structure.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>

namespace bsq {
namespace {

// The frames between two that are coded, and the packets of all: a frame goes into that of the
// first one before it that is not coded yet.
void append_between(int begin, int end, int level, std::vector<GopFrame>& frames) {
  if (end - begin < 2) return;
  const int middle = (begin + end) / 2;
  frames.push_back({middle, begin, end, level, GopFrame::kNone, begin + 1});
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
  Slots(int index, int slot) { held_[static_cast<size_t>(slot)] = index; }

  // Gives up frames that are shown before the packet and that none of `later` refers to.
  void release(int packet, std::span<const GopFrame> later, int anchor) {
    for (int& held : held_) {
      if (held < packet && held != anchor && !is_reference(held, later)) held = kFree;
    }
  }
  int take(int index) {
    const auto free = std::find(held_.begin(), held_.end(), kFree);
    *free = index;
    return static_cast<int>(free - held_.begin());
  }

 private:
  static constexpr int kFree = -1;

  std::array<int, kMaxGroupSlots> held_{kFree, kFree, kFree, kFree, kFree};
};

}  // namespace

int append_group(int begin, int end, int begin_slot, std::vector<GopFrame>& frames) {
  const size_t count = frames.size();
  frames.push_back({end, begin, GopFrame::kNone, 0, GopFrame::kNone, begin + 1});
  append_between(begin, end, 1, frames);
  const std::span<GopFrame> group = std::span(frames).subspan(count);
  Slots slots(begin, begin_slot);
  for (size_t i = 0; i < group.size(); ++i) {
    GopFrame& frame = group[i];
    const std::span<const GopFrame> later = group.subspan(i + 1);
    // A frame may take the slot of its own reference.
    slots.release(frame.packet, later, end);
    if (frame.index == end || frame.ahead() > 0 || is_reference(frame.index, later)) {
      frame.slot = slots.take(frame.index);
    }
  }
  return group.front().slot;
}

}  // namespace bsq
