// The slots of held frames: which frame is where, and what follows for a frame that refers to them
// (docs/bitstream.md section 2.5). Samples, motion and coding states are in LayerState.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "bitstream/limits.h"
#include "bitstream/packet.h"
#include "motion/b_motion.h"

namespace bsq {

// A frame's place among the frames held. Slots are -1 where there is none.
struct FrameRole {
  bool keyframe = true;
  uint32_t index = 0;  // in the group
  int first = -1;      // of the first reference
  int second = -1;     // of the second one, in a B frame
  int coding = -1;     // whose coding state the frame begins with
  int hold = -1;       // which the frame takes
  ReferenceDistances distances;
  bool shared = false;  // the second reference is that of the first reference too

  bool is_b() const { return second >= 0; }
};

class ReferenceSlots {
 public:
  void clear();
  // Of the frame of this index; nothing if it is not held.
  std::optional<int> find(uint32_t index) const;
  // Of a frame of this index; nothing where a reference is not held. Throws
  // Error(BSQ_ERROR_BITSTREAM), its message without the packet's name, where a frame of this index
  // is held already, or where a reference would come before the keyframe.
  std::optional<FrameRole> role(const FrameHeader& frame, bool keyframe, uint32_t index) const;
  // The frame of this role has been coded; a keyframe empties all other slots. `components`: their
  // headers with the steps.
  void done(const FrameRole& role, std::span<const ComponentHeader> components);
  // Whether the frame in the slot refers to one shown after it.
  bool is_two_sided(int slot) const { return at(slot).second > at(slot).index; }
  // Headers of the components of the frame in the slot.
  std::span<const ComponentHeader> components(int slot) const {
    return slots_[static_cast<size_t>(slot)].components;
  }

 private:
  struct Slot {
    bool used = false;
    uint32_t index = 0;
    std::optional<uint32_t> second;  // the index of the second reference
    uint64_t order = 0;              // of coding
    std::vector<ComponentHeader> components;
  };

  const Slot& at(int slot) const { return slots_[static_cast<size_t>(slot)]; }

  std::array<Slot, kSlots> slots_;
  uint64_t order_ = 0;
};

}  // namespace bsq
