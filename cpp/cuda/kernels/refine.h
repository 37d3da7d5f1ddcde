// The second stage of the motion search on the device: final vectors and partitions, as
// WindowRefiner of motion/search_refine.h chooses them.
#pragma once

#include "cuda/kernels/coarse.h"
#include "cuda/kernels/search_trials.h"

namespace bsq::cuda {

// A block refines a window; those of a launch lie on an anti-diagonal, where none is a neighbour of
// another. There are few of them, so that what counts is how long one takes. Its choices follow
// each other, but the up to eight vectors that a choice is between are measured at once, a warp for
// each (SearchTrials). All threads make the choices, each for itself, from what the warps have left
// in shared memory: that costs less than a word from one thread to the others.
struct RefineKernel {
  using Trials = SearchTrials;
  static constexpr int kThreads = Trials::kThreads;
  using Shared = Trials::Shared;
  using Local = Trials::Local;
  static_assert(sizeof(Shared) < 48 * 1024);

  SearchSources sources;
  const SearchWindow* windows;  // those of the launch
  int64_t count;
  const SearchBlock* areas;
  const CoarseResult* coarse;  // by window of the picture
  int windows_x;
  int windows_y;
  const Vector* previous;  // by cell; or null
  Vector* vectors;         // by cell
  uint8_t* differs;        // by cell: whether its vector is not its predictor
  uint8_t* split;          // by window of the picture

  int64_t blocks() const { return count; }

  template <class Block>
  BSQ_DEVICE void run(Block& block) const {
    const SearchWindow at = windows[block.index()];
    const int window = at.y * windows_x + at.x;
    const CoarseResult& own = coarse[window];
    load(block, at);
    Trials trials(sources, 4 * at.x, 4 * at.y);
    const Place place = trials.place(block.shared(), 0, 0, 4);
    int how = 0;
    if (own.still != 0 && place.predictor == Vector{0, 0}) {
      trials.keep(block, place, Vector{0, 0});
    } else {
      how = refine(block, trials, place, at, own);
    }
    block.each_apart([&](int thread, Local&) {
      const int x = 4 * at.x + thread % 4;
      const int y = 4 * at.y + thread / 4;
      if (thread == 0) split[window] = static_cast<uint8_t>(how);
      if (thread >= 16 || x >= sources.cells_x() || y >= sources.cells_y()) return;
      const int cell = Trials::around(thread % 4, thread / 4);
      vectors[y * sources.cells_x() + x] = block.shared().vectors[cell];
      differs[y * sources.cells_x() + x] = block.shared().differs[cell];
    });
  }

 private:
  using Place = Trials::Place;
  using Found = Trials::Found;

  // What the window's choices need, into shared memory.
  template <class Block>
  BSQ_DEVICE void load(Block& block, const SearchWindow& at) const {
    Shared& s = block.shared();
    block.each([&](int thread, Local&) {
      const auto* from = reinterpret_cast<const int32_t*>(areas + at.block);
      auto* to = reinterpret_cast<int32_t*>(&s.area);
      for (int i = thread; i < static_cast<int>(sizeof s.area / 4); i += kThreads) to[i] = from[i];
      const uint8_t* row = sources.current.level[0].at(32 * at.x, 32 * at.y + thread / 8);
      s.samples[thread / 8][thread % 8] = words_at(row)[thread % 8];
      if (thread < Trials::kAround) load_cell(s, at, thread);
      if (previous == nullptr || thread >= 16) return;
      const int x = 4 * at.x + thread % 4;
      const int y = 4 * at.y + thread / 4;
      const bool there = x < sources.cells_x() && y < sources.cells_y();
      s.before[thread] = there ? previous[y * sources.cells_x() + x] : Vector{0, 0};
    });
  }

  // A cell of the window, which has nothing yet, or next to it. What the entropy block does not
  // hold is not looked at later.
  BSQ_DEVICE void load_cell(Shared& s, const SearchWindow& at, int i) const {
    const SearchBlock& area = areas[at.block];
    const int x = 4 * at.x + i % Trials::kAroundWidth - 1;
    const int y = 4 * at.y + i / Trials::kAroundWidth - 1;
    const bool inside = x >= 4 * at.x && y >= 4 * at.y;
    const bool there = !inside && x >= 4 * area.x_begin && y >= 4 * area.y_begin &&
                       x < 4 * area.x_end && x < sources.cells_x() && y < sources.cells_y();
    s.vectors[i] = there ? vectors[y * sources.cells_x() + x] : Vector{0, 0};
    s.differs[i] = there ? differs[y * sources.cells_x() + x] : uint8_t{0};
    s.split[i] = there ? split[y / 4 * windows_x + x / 4] : uint8_t{0};
  }

  template <class Block>
  BSQ_DEVICE int refine(Block& block, Trials& trials, const Place& place, const SearchWindow& at,
                        const CoarseResult& own) const {
    const SearchBlock& area = block.shared().area;
    const Found found = trials.template search<4>(block, place, ahead(place, at, own));
    const int near = trials.near_split(block.shared(), place);
    const int together = found.cost + trials.price(area.split[near][0]);
    const int flag = trials.price(area.split[near][1]);
    const bool single = 4 * at.x + 2 >= sources.cells_x() && 4 * at.y + 2 >= sources.cells_y();
    if (!single && together > flag + trials.price(kLeastSplitBits * kOneBit)) {
      int how = 1;
      const int limit = together - flag;
      if (search_parts(block, trials, found.mv, limit, own, how) < limit) return how;
    }
    trials.keep(block, place, found.mv);
    return 0;
  }

  // The displacements of windows that come later: the field should be smooth there too.
  BSQ_DEVICE Trials::Hints ahead(const Place& place, const SearchWindow& at,
                                 const CoarseResult& own) const {
    const CoarseResult* window = &own;
    Trials::Hints hints{{0, 0}, own.window, {0, 0}, at.y + 1 < windows_y, previous != nullptr};
    if (hints.has_ahead) hints.ahead = place.whole(window[windows_x].window);
    if (at.x + 1 < windows_x) hints.parent = place.whole(window[1].window);
    return hints;
  }

  // The cost of the window's parts, whose vectors it leaves in shared memory; gives up at the
  // limit.
  template <class Block>
  BSQ_DEVICE int search_parts(Block& block, Trials& trials, Vector parent, int limit,
                              const CoarseResult& own, int& how) const {
    int total = 0;
    for (int i = 0; i < 4; ++i) {
      const int x = i % 2 * 2;
      const int y = i / 2 * 2;
      if (!trials.exists(x, y) || total >= limit) continue;
      const Place place = trials.place(block.shared(), x, y, 2);
      const Found found = trials.template search<1>(
          block, place, {parent, own.part[i], {0, 0}, false, previous != nullptr});
      total += settle_part(block, trials, place, found, how, i);
    }
    return total;
  }

  // The cost of a part in the best way; it may be split itself.
  template <class Block>
  BSQ_DEVICE int settle_part(Block& block, Trials& trials, const Place& place, const Found& found,
                             int& how, int part) const {
    const SearchBlock& area = block.shared().area;
    const int near = trials.near_cell_split(block.shared(), place, how);
    const int together = found.cost + trials.price(area.cell_split[near][0]);
    const int flag = trials.price(area.cell_split[near][1]);
    if (area.fine != 0 && together > flag + trials.price(kLeastSplitBits * kOneBit)) {
      const int apart = flag + search_cells(block, trials, place, found.mv, together - flag);
      if (apart < together) {
        how |= 2 << part;
        return apart;
      }
    }
    trials.keep(block, place, found.mv);
    return together;
  }

  // The same of a part's cells.
  template <class Block>
  BSQ_DEVICE int search_cells(Block& block, Trials& trials, const Place& part, Vector parent,
                              int limit) const {
    int total = 0;
    for (int i = 0; i < 4; ++i) {
      const int x = part.x + i % 2;
      const int y = part.y + i / 2;
      if (!trials.exists(x, y) || total >= limit) continue;
      const Place place = trials.place(block.shared(), x, y, 1);
      const Vector whole = vector_of(parent.x >> 2, parent.y >> 2);
      const Found found = trials.template search<1>(
          block, place, {parent, whole, {0, 0}, false, previous != nullptr});
      trials.keep(block, place, found.mv);
      total += found.cost;
    }
    return total;
  }
};

}  // namespace bsq::cuda
