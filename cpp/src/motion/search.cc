// The steps of the motion search, coarse and fine, and their threads.
#include "motion/search.h"

#include <algorithm>

#include "motion/search_cost.h"

namespace bsq {

void MotionSearch::refine_row(const Row& row, SuperblockRefiner& refiner) noexcept {
  const SuperblockRect& area = row.tile->superblocks;
  const int count = area.x_end - area.x_begin;
  for (int i = 0; i < count; ++i) {
    if (row.above != nullptr) {
      const int wanted = std::min(i + 2, count);
      int now = row.above->load(std::memory_order_acquire);
      while (now < wanted) {
        row.above->wait(now, std::memory_order_acquire);
        now = row.above->load(std::memory_order_acquire);
      }
    }
    refiner.refine(area, row.tile->rates, area.x_begin + i, row.y);
    row.done->store(i + 1, std::memory_order_release);
    row.done->notify_all();
  }
}

// The first rows of all tiles, then the second ones, and so on.
void MotionSearch::list_rows(std::span<const MotionSearchTile> tiles) {
  size_t count = 0;
  for (const MotionSearchTile& b : tiles) {
    count += static_cast<size_t>(b.superblocks.y_end - b.superblocks.y_begin);
  }
  if (done_.size() < count) done_ = std::vector<std::atomic<int>>(count);
  for (std::atomic<int>& done : done_) done.store(0, std::memory_order_relaxed);
  rows_.clear();
  for (int i = 0; rows_.size() < count; ++i) {
    std::atomic<int>* first = done_.data();  // of the tile
    for (const MotionSearchTile& b : tiles) {
      const int height = b.superblocks.y_end - b.superblocks.y_begin;
      if (i < height) {
        rows_.push_back(
            {&b, b.superblocks.y_begin + i, i > 0 ? first + i - 1 : nullptr, first + i});
      }
      first += height;
    }
  }
}

// Every thread takes every n-th row of the list, in which a row stands before those that follow it.
void MotionSearch::refine_all(const RefineTask& task, std::span<const MotionSearchTile> tiles,
                              ThreadPool& pool) {
  list_rows(tiles);
  const auto lanes = static_cast<size_t>(pool.threads());
  if (refiners_.size() < lanes) refiners_.resize(lanes);
  pool.parallel_ranges(lanes, [&](size_t begin, size_t end, int) {
    SuperblockRefiner& refiner = refiners_[begin].emplace(task);
    for (size_t i = 0; i < rows_.size(); ++i) {
      if (i % lanes >= begin && i % lanes < end) refine_row(rows_[i], refiner);
    }
  });
}

const MotionField& MotionSearch::run(const SearchFrame& current, const SearchFrame& reference,
                                     const MotionSearchConfig& config, const MotionField* previous,
                                     std::span<const MotionSearchTile> tiles, ThreadPool& pool) {
  const int lambda = config.scaled_lambda();
  field_.reset(current.width(0), current.height(0));
  if (previous && (previous->subblocks_x != field_.subblocks_x ||
                   previous->subblocks_y != field_.subblocks_y)) {
    previous = nullptr;
  }
  const SearchKernels& kernels = *config.kernels;
  phases_.allocate(current.width(0), current.height(0));
  pool.parallel_ranges(
      static_cast<size_t>(phases_.row_count()), [&](size_t begin, size_t end, int) {
        phases_.fill_rows(reference, kernels, static_cast<int>(begin), static_cast<int>(end));
      });
  const SearchPair pair{current, reference};
  const CoarseSearch search(pair, config.allowed_range(), lambda, kernels);
  coarse_.resize(field_.split.size());
  pool.parallel_rows(coarse_.size(), [&](size_t i) {
    const auto columns = static_cast<size_t>(field_.superblocks_x);
    coarse_[i] = search.search_superblock(static_cast<int>(i % columns) * kSuperblockSize,
                                          static_cast<int>(i / columns) * kSuperblockSize);
  });
  differs_.assign(field_.mv.size(), 0);
  const RefineTask task{pair, phases_, kernels, lambda, coarse_, previous, field_, differs_};
  refine_all(task, tiles, pool);
  return field_;
}

}  // namespace bsq
