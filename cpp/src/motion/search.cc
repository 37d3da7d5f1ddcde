// The two stages of the motion search put together.
#include "motion/search.h"

#include <algorithm>
#include <cmath>

#include "motion/search_cost.h"
#include "motion/search_refine.h"

namespace bsq {

MotionSearch::MotionSearch(const SearchPicture& current, const SearchPicture& reference,
                           const MotionSearchConfig& config, const MotionField* previous)
    : pair_{current, reference},
      range_(std::clamp(config.range, 4, kMaxSearchRange)),
      lambda_(static_cast<int>(std::lround(std::clamp(config.lambda, 0.0, 4096.0) * kCostOne))),
      previous_(previous),
      field_(current.width(0), current.height(0)),
      coarse_(field_.split.size()) {
  if (previous_ && (previous_->parts_x != field_.parts_x || previous_->parts_y != field_.parts_y)) {
    previous_ = nullptr;
  }
}

void MotionSearch::coarse_rows(int begin, int end) {
  const CoarseSearch search(pair_, range_, lambda_);
  for (int wy = begin; wy < end; ++wy) {
    for (int wx = 0; wx < field_.windows_x; ++wx) {
      coarse_[static_cast<size_t>(wy * field_.windows_x + wx)] =
          search.search_window(wx * kMotionWindowSize, wy * kMotionWindowSize);
    }
  }
}

void MotionSearch::refine(const WindowRect& block) {
  BlockRefiner(pair_, lambda_, coarse_, previous_, block, field_).run();
}

MotionField search_motion(const SearchPicture& current, const SearchPicture& reference,
                          const MotionSearchConfig& config, const MotionField* previous,
                          const std::vector<WindowRect>& blocks, ThreadPool& pool) {
  MotionSearch search(current, reference, config, previous);
  pool.parallel_ranges(static_cast<size_t>(search.field().windows_y),
                       [&](size_t begin, size_t end, int) {
                         search.coarse_rows(static_cast<int>(begin), static_cast<int>(end));
                       });
  pool.parallel_for(blocks.size(), [&](size_t i) { search.refine(blocks[i]); });
  return search.field();
}

}  // namespace bsq
