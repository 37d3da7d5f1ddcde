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
#include "motion/search_kernels.h"
#include "motion/search_phases.h"
#include "motion/search_picture.h"
#include "motion/search_prices.h"
#include "motion/search_refine.h"

namespace bsq {

struct MotionSearchConfig {
  double lambda = 4.0;  // price of a bit in units of absolute difference of 8-bit luma
  int range = 64;       // luma samples each way that the coarse search covers, 4 .. 512
  const SearchKernels* kernels = &kSearchBase;

  // As the stages take them: lambda scaled by kCostOne.
  int scaled_lambda() const {
    return static_cast<int>(std::lround(std::clamp(lambda, 0.0, 4096.0) * kCostOne));
  }
  int allowed_range() const { return std::clamp(range, 4, kMaxSearchRange); }
};

// A block in which vectors are predicted, and what its symbols cost.
struct MotionSearchBlock {
  WindowRect windows;
  MotionPrices prices;
};

// Searches frames of one size; keeps its memory from frame to frame.
class MotionSearch {
 public:
  // The field from `reference` to `current`, two pictures of one size. `previous`, if not null, is
  // the field of the frame before: its vectors are tried too, unless its size differs. The blocks
  // tile the frame. The result does not depend on the threads of the pool, and lasts until the next
  // call.
  const MotionField& run(const SearchPicture& current, const SearchPicture& reference,
                         const MotionSearchConfig& config, const MotionField* previous,
                         std::span<const MotionSearchBlock> blocks, ThreadPool& pool);

  // Two pictures and blocks that callers may fill and hand to run(), kept from frame to frame too.
  std::array<SearchPicture, 2>& pictures() { return pictures_; }
  std::vector<MotionSearchBlock>& blocks() { return blocks_; }

 private:
  // A row of windows of a block, which follows the row above at two windows' distance.
  struct Row {
    const MotionSearchBlock* block;
    int y;
    std::atomic<int>* above;  // windows done in the row above, null in the first row
    std::atomic<int>* done;
  };

  static void refine_row(const Row& row, WindowRefiner& refiner) noexcept;
  void list_rows(std::span<const MotionSearchBlock> blocks);
  void refine_all(const RefineTask& task, std::span<const MotionSearchBlock> blocks,
                  ThreadPool& pool);

  std::array<SearchPicture, 2> pictures_;
  std::vector<MotionSearchBlock> blocks_;
  MotionField field_;
  PhasePlanes phases_;
  std::vector<CoarseShifts> coarse_;  // by window
  std::vector<uint8_t> differs_;      // per cell: whether its vector is not its predictor
  std::vector<Row> rows_;             // of all blocks
  std::vector<std::atomic<int>> done_;
  std::vector<std::optional<WindowRefiner>> refiners_;  // by thread
};

}  // namespace bsq
