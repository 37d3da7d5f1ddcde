// The order in which threads search the superblocks of a frame.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "motion/motion_field.h"

namespace bsq {

// A tile in which vectors are predicted, and what its symbols cost.
template <class Rates>
struct SearchTile {
  SuperblockRect superblocks;
  Rates rates;
};

// Rows of superblocks of all tiles, each of which follows the row above at two superblocks'
// distance. Keeps its memory.
class SearchRows {
 public:
  // begin(size_t lane) gives a refiner to a thread, and refiner.refine(tile, rates, sx, sy) is
  // called for every superblock after its left, above and above right neighbours in the tile. It
  // must not throw.
  template <class Rates, class Begin>
  void run(std::span<const SearchTile<Rates>> tiles, ThreadPool& pool, const Begin& begin) {
    list(tiles);
    const auto lanes = static_cast<size_t>(pool.threads());
    // Every thread takes every n-th row of the list, in which a row stands before those that follow
    // it.
    pool.parallel_ranges(lanes, [&](size_t first, size_t last, int) {
      auto& refiner = begin(first);
      for (size_t i = 0; i < rows_.size(); ++i) {
        if (i % lanes < first || i % lanes >= last) continue;
        const SearchTile<Rates>& tile = tiles[rows_[i].tile];
        follow(rows_[i], tile.superblocks,
               [&](int sx, int sy) { refiner.refine(tile.superblocks, tile.rates, sx, sy); });
      }
    });
  }

 private:
  struct Row {
    size_t tile;
    int y;
    std::atomic<int>* above;  // superblocks done in the row above, null in the first row
    std::atomic<int>* done;
  };

  template <class Fn>
  static void follow(const Row& row, const SuperblockRect& area, const Fn& fn) noexcept {
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
      fn(area.x_begin + i, row.y);
      row.done->store(i + 1, std::memory_order_release);
      row.done->notify_all();
    }
  }

  // The first rows of all tiles, then the second ones, and so on.
  template <class Rates>
  void list(std::span<const SearchTile<Rates>> tiles) {
    const auto height = [](const SearchTile<Rates>& tile) {
      return tile.superblocks.y_end - tile.superblocks.y_begin;
    };
    size_t count = 0;
    for (const auto& tile : tiles) count += static_cast<size_t>(height(tile));
    if (done_.size() < count) done_ = std::vector<std::atomic<int>>(count);
    for (std::atomic<int>& done : done_) done.store(0, std::memory_order_relaxed);
    rows_.clear();
    for (int i = 0; rows_.size() < count; ++i) {
      std::atomic<int>* first = done_.data();  // of the tile
      for (size_t t = 0; t < tiles.size(); ++t) {
        if (i < height(tiles[t])) {
          rows_.push_back(
              {t, tiles[t].superblocks.y_begin + i, i > 0 ? first + i - 1 : nullptr, first + i});
        }
        first += height(tiles[t]);
      }
    }
  }

  std::vector<Row> rows_;  // of all tiles
  std::vector<std::atomic<int>> done_;
};

}  // namespace bsq
