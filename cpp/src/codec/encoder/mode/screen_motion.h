// Motion of screens: what exact matches in the frames' sources say of it. Not normative.
#pragma once

#include <array>
#include <cstddef>
#include <utility>
#include <vector>

#include "base/plane.h"
#include "base/thread_pool.h"
#include "codec/common/reference_slots.h"
#include "motion/match_search.h"

namespace bsq {

// Of the frames in the slots, and of the frame at work.
class ScreenMotion {
 public:
  // The frame at work. `drawn`: whether enough of it is drawn for matches to tell something.
  void begin(const Frame& source, bool drawn, ThreadPool& pool) {
    if (drawn) {
      current_.fill(source.planes[0].view(), pool);
    } else {
      current_.clear();
    }
  }
  // From the frame at work to the one in the slot.
  std::vector<Shift> shifts(int slot) const {
    return find_shifts(current_, held_[static_cast<size_t>(slot)]);
  }
  // The frame at work is done.
  void end_frame(const FrameRole& role) {
    if (role.keyframe) {
      for (MatchFrame& frame : held_) frame.clear();
    }
    if (role.hold >= 0) std::swap(held_[static_cast<size_t>(role.hold)], current_);
  }

 private:
  MatchFrame current_;
  std::array<MatchFrame, kSlots> held_;
};

}  // namespace bsq
