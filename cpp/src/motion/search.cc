// The stages of the motion search put together, and their threads.
#include "motion/search.h"

#include <algorithm>
#include <atomic>
#include <memory>

#include "motion/search_coarse.h"
#include "motion/search_cost.h"
#include "motion/search_refine.h"

namespace bsq {

namespace {

// A row of windows of a block, which follows the row above at two windows' distance.
struct Row {
  const MotionSearchBlock* block;
  int y;
  std::atomic<int>* above;  // windows done in the row above, null in the first row
  std::atomic<int>* done;
};

void refine_row(const Row& row, WindowRefiner& refiner) noexcept {
  const WindowRect& area = row.block->windows;
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
    refiner.refine(area, row.block->prices, area.x_begin + i, row.y);
    row.done->store(i + 1, std::memory_order_release);
    row.done->notify_all();
  }
}

// Every thread takes every n-th row of the list, in which a row stands before those that follow it.
void refine_all(const RefineTask& task, std::span<const MotionSearchBlock> blocks,
                ThreadPool& pool) {
  size_t count = 0;
  for (const MotionSearchBlock& b : blocks) {
    count += static_cast<size_t>(b.windows.y_end - b.windows.y_begin);
  }
  std::vector<std::atomic<int>> done(count);
  std::vector<Row> rows;
  rows.reserve(count);
  size_t first = 0;
  for (const MotionSearchBlock& b : blocks) {
    for (int y = b.windows.y_begin; y < b.windows.y_end; ++y) {
      std::atomic<int>* mine = &done[first++];
      rows.push_back({&b, y, y > b.windows.y_begin ? mine - 1 : nullptr, mine});
    }
  }
  std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
    return a.y - a.block->windows.y_begin < b.y - b.block->windows.y_begin;
  });
  const auto lanes = static_cast<size_t>(pool.threads());
  std::vector<std::unique_ptr<WindowRefiner>> refiners(lanes);
  for (auto& refiner : refiners) refiner = std::make_unique<WindowRefiner>(task);
  pool.parallel_ranges(lanes, [&](size_t begin, size_t end, int) {
    for (size_t i = 0; i < rows.size(); ++i) {
      if (i % lanes >= begin && i % lanes < end) refine_row(rows[i], *refiners[begin]);
    }
  });
}

}  // namespace

MotionField MotionSearch::run(const SearchPicture& current, const SearchPicture& reference,
                              const MotionSearchConfig& config, const MotionField* previous,
                              std::span<const MotionSearchBlock> blocks, ThreadPool& pool) {
  const int lambda = config.scaled_lambda();
  MotionField field(current.width(0), current.height(0));
  if (previous && (previous->cells_x != field.cells_x || previous->cells_y != field.cells_y)) {
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
  std::vector<CoarseShifts> coarse(field.split.size());
  pool.parallel_rows(coarse.size(), [&](size_t i) {
    const auto columns = static_cast<size_t>(field.windows_x);
    coarse[i] = search.search_window(static_cast<int>(i % columns) * kMotionWindowSize,
                                     static_cast<int>(i / columns) * kMotionWindowSize);
  });
  std::vector<uint8_t> differs(field.mv.size());
  const RefineTask task{pair, phases_, kernels, lambda, coarse, previous, field, differs};
  refine_all(task, blocks, pool);
  return field;
}

}  // namespace bsq
