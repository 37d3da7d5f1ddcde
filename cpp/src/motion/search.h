// Motion search of the encoder: finds the field that motion compensation is given. Not normative.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "motion/motion_field.h"
#include "motion/search_coarse.h"
#include "motion/search_cost.h"
#include "motion/search_frame.h"
#include "motion/search_kernels.h"
#include "motion/search_phases.h"
#include "motion/search_rates.h"
#include "motion/search_refine.h"

namespace bsq {

struct MotionSearchConfig {
  double lambda = 4.0;  // in absolute difference of 8-bit luma per bit
  int range = 64;       // luma samples each way that the coarse search covers, 4 .. 512
  const SearchKernels* kernels = &kSearchBase;

  // As the search takes them: lambda scaled by kCostOne.
  int scaled_lambda() const {
    return static_cast<int>(std::lround(std::clamp(lambda, 0.0, 4096.0) * kCostOne));
  }
  int allowed_range() const { return std::clamp(range, 4, kMaxSearchRange); }
};

// A tile in which vectors are predicted, and what its symbols cost.
struct MotionSearchTile {
  SuperblockRect superblocks;
  MotionRates rates;
};

// Searches frames of one size; keeps its memory from frame to frame.
class MotionSearch {
 public:
  // The field from `reference` to `current`, two frames of one size. `previous`, if not null, is
  // the field of the frame before: its vectors are tried too, unless its size differs. The tiles
  // tile the frame. The result does not depend on the threads of the pool, and lasts until the next
  // call.
  const MotionField& run(const SearchFrame& current, const SearchFrame& reference,
                         const MotionSearchConfig& config, const MotionField* previous,
                         std::span<const MotionSearchTile> tiles, ThreadPool& pool);

  // Two frames and tiles that callers may fill and hand to run(), kept from frame to frame too.
  std::array<SearchFrame, 2>& frames() { return frames_; }
  std::vector<MotionSearchTile>& tiles() { return tiles_; }

 private:
  // A row of superblocks of a tile, which follows the row above at two superblocks' distance.
  struct Row {
    const MotionSearchTile* tile;
    int y;
    std::atomic<int>* above;  // superblocks done in the row above, null in the first row
    std::atomic<int>* done;
  };

  static void refine_row(const Row& row, SuperblockRefiner& refiner) noexcept;
  void list_rows(std::span<const MotionSearchTile> tiles);
  void refine_all(const RefineTask& task, std::span<const MotionSearchTile> tiles,
                  ThreadPool& pool);

  std::array<SearchFrame, 2> frames_;
  std::vector<MotionSearchTile> tiles_;
  MotionField field_;
  PhasePlanes phases_;
  std::vector<CoarseShifts> coarse_;  // by superblock
  std::vector<uint8_t> differs_;      // per sub-block: whether its vector is not its predictor
  std::vector<Row> rows_;             // of all tiles
  std::vector<std::atomic<int>> done_;
  std::vector<std::optional<SuperblockRefiner>> refiners_;  // by thread
};

}  // namespace bsq
