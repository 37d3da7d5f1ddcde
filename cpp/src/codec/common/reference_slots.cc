// Held frames by their indices.
#include "codec/common/reference_slots.h"

#include <string>

#include "base/status.h"

namespace bsq {

void ReferenceSlots::clear() {
  for (Slot& slot : slots_) slot.used = false;
}

std::optional<int> ReferenceSlots::find(uint32_t index) const {
  for (int i = 0; i < kSlots; ++i) {
    if (at(i).used && at(i).index == index) return i;
  }
  return std::nullopt;
}

std::optional<FrameRole> ReferenceSlots::role(const FrameHeader& frame, bool keyframe,
                                              uint32_t index) const {
  FrameRole role;
  role.keyframe = keyframe;
  role.index = index;
  role.hold = frame.hold - 1;
  if (keyframe) return role;
  if (find(index)) {
    throw Error(BSQ_ERROR_BITSTREAM,
                "frame " + std::to_string(index) + " of the group was coded before");
  }
  const int64_t second_index = int64_t{index} + frame.forth;
  if (frame.back > index || second_index < 0) {
    throw Error(BSQ_ERROR_BITSTREAM, "a frame refers to one before the keyframe of its group");
  }
  const std::optional<int> first = find(index - frame.back);
  const std::optional<int> second =
      frame.is_b ? find(static_cast<uint32_t>(second_index)) : std::nullopt;
  if (!first || (frame.is_b && !second)) return std::nullopt;
  role.distances = {static_cast<int>(frame.back), frame.forth};
  role.first = role.coding = *first;
  if (!second) return role;
  role.second = *second;
  if (at(role.second).order > at(role.first).order) role.coding = role.second;
  role.shared = at(role.first).second == at(role.second).index;
  return role;
}

void ReferenceSlots::done(const FrameRole& role, std::span<const ComponentHeader> components) {
  if (role.keyframe) clear();
  ++order_;
  if (role.hold < 0) return;
  Slot& slot = slots_[static_cast<size_t>(role.hold)];
  slot.used = true;
  slot.index = role.index;
  slot.second.reset();
  if (role.is_b()) {
    slot.second = static_cast<uint32_t>(int64_t{role.index} + role.distances.forth);
  }
  slot.order = order_;
  slot.components.assign(components.begin(), components.end());
}

}  // namespace bsq
