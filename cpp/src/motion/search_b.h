// Motion search of the encoder for B frames. Not normative.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "motion/b_motion.h"
#include "motion/motion_field.h"
#include "motion/search_b_rates.h"
#include "motion/search_b_refine.h"
#include "motion/search_coarse.h"
#include "motion/search_config.h"
#include "motion/search_frame.h"
#include "motion/search_reference.h"
#include "motion/search_rows.h"

namespace bsq {

using BMotionSearchTile = SearchTile<BMotionRates>;

// The two references of a B frame.
using SearchReferences = std::array<const SearchReference*, 2>;

// Searches frames of one size; keeps its memory from frame to frame.
class BMotionSearch {
 public:
  // The field of a B frame, `current`, which has the size of its references. The tiles tile the
  // frame. The result does not depend on the threads of the pool, and lasts until the next call.
  const MotionField& run(const SearchFrame& current, const SearchReferences& references,
                         const MotionSearchConfig& config, const TemporalMotion& temporal,
                         const ReferenceDistances& distances,
                         std::span<const BMotionSearchTile> tiles, ThreadPool& pool);

  // A frame and tiles that callers may fill and hand to run(), kept from frame to frame too.
  SearchFrame& current() { return current_; }
  std::vector<BMotionSearchTile>& tiles() { return tiles_; }

 private:
  void search_coarse(const SearchFrame& current, const SearchReferences& references,
                     const MotionSearchConfig& config, ThreadPool& pool);

  SearchFrame current_;
  std::vector<BMotionSearchTile> tiles_;
  MotionField field_;
  std::vector<uint8_t> marks_;                       // per sub-block
  std::array<std::vector<CoarseShifts>, 2> coarse_;  // by reference, then by superblock
  SearchRows rows_;
  std::vector<std::optional<BSuperblockRefiner>> refiners_;  // by thread
};

}  // namespace bsq
