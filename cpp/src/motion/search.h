// Motion search of the encoder for P frames: finds the field that motion compensation is given. Not
// normative.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "motion/motion_field.h"
#include "motion/search_coarse.h"
#include "motion/search_config.h"
#include "motion/search_frame.h"
#include "motion/search_rates.h"
#include "motion/search_reference.h"
#include "motion/search_refine.h"
#include "motion/search_rows.h"

namespace bsq {

using MotionSearchTile = SearchTile<MotionRates>;

// Searches frames of one size; keeps its memory from frame to frame.
class MotionSearch {
 public:
  // The field from `reference` to `current`, two frames of one size. `previous`, if not null, is
  // the field of the frame before: its vectors are tried too, unless its size differs. The tiles
  // tile the frame. The result does not depend on the threads of the pool, and lasts until the next
  // call.
  const MotionField& run(const SearchFrame& current, const SearchReference& reference,
                         const MotionSearchConfig& config, const MotionField* previous,
                         std::span<const MotionSearchTile> tiles, ThreadPool& pool);

  // A frame and tiles that callers may fill and hand to run(), kept from frame to frame too.
  SearchFrame& current() { return current_; }
  std::vector<MotionSearchTile>& tiles() { return tiles_; }

 private:
  SearchFrame current_;
  std::vector<MotionSearchTile> tiles_;
  MotionField field_;
  std::vector<CoarseShifts> coarse_;  // by superblock
  std::vector<uint8_t> differs_;      // per sub-block: whether its vector is not its predictor
  SearchRows rows_;
  std::vector<std::optional<SuperblockRefiner>> refiners_;  // by thread
};

}  // namespace bsq
