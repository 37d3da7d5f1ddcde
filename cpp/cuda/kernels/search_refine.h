// The refinement of the motion search on the device: final vectors and partitions, as
// SuperblockRefiner of motion/search_refine.h chooses them.
#pragma once

#include "cuda/kernels/search_candidates.h"
#include "cuda/kernels/search_coarse.h"

namespace bsq::cuda {

// A block refines a superblock; those of a launch lie on an anti-diagonal, where none is a
// neighbour of another. There are few of them, so that what counts is how long one takes. Its
// decisions follow each other, but the up to eight vectors that a decision is between are measured
// at once, a warp for each (SearchCandidates). All threads take the decisions, each for itself,
// from what the warps have left in shared memory: that costs less than a word from one thread to
// the others.
struct RefineKernel {
  using Candidates = SearchCandidates;
  static constexpr int kThreads = Candidates::kThreads;
  using Shared = Candidates::Shared;
  using Local = Candidates::Local;
  static_assert(sizeof(Shared) < 48 * 1024);

  SearchSources sources;
  const SearchSuperblock* superblocks;  // those of the launch
  int64_t count;
  const SearchTile* areas;
  const CoarseResult* coarse;  // by superblock of the frame
  int superblocks_x;
  int superblocks_y;
  const Vector* previous;  // by sub-block; or null
  Vector* vectors;         // by sub-block
  uint8_t* differs;        // by sub-block: whether its vector is not its predictor
  uint8_t* split;          // by superblock of the frame

  int64_t blocks() const { return count; }

  template <class Block>
  BSQ_DEVICE void run(Block& block) const {
    const SearchSuperblock at = superblocks[block.index()];
    const int superblock = at.y * superblocks_x + at.x;
    const CoarseResult& own = coarse[superblock];
    load(block, at);
    Candidates candidates(sources, 4 * at.x, 4 * at.y);
    const Place place = candidates.place(block.shared(), 0, 0, 4);
    int how = 0;
    if (own.still != 0 && place.predictor == Vector{0, 0}) {
      candidates.keep(block, place, Vector{0, 0});
    } else {
      how = refine(block, candidates, place, at, own);
    }
    block.each_apart([&](int thread, Local&) {
      const int x = 4 * at.x + thread % 4;
      const int y = 4 * at.y + thread / 4;
      if (thread == 0) split[superblock] = static_cast<uint8_t>(how);
      if (thread >= 16 || x >= sources.subblocks_x() || y >= sources.subblocks_y()) return;
      const int subblock = Candidates::around(thread % 4, thread / 4);
      vectors[y * sources.subblocks_x() + x] = block.shared().vectors[subblock];
      differs[y * sources.subblocks_x() + x] = block.shared().differs[subblock];
    });
  }

 private:
  using Place = Candidates::Place;
  using Found = Candidates::Found;

  // What the superblock's decisions need, into shared memory.
  template <class Block>
  BSQ_DEVICE void load(Block& block, const SearchSuperblock& at) const {
    Shared& s = block.shared();
    block.each([&](int thread, Local&) {
      const auto* from = reinterpret_cast<const int32_t*>(areas + at.tile);
      auto* to = reinterpret_cast<int32_t*>(&s.area);
      for (int i = thread; i < static_cast<int>(sizeof s.area / 4); i += kThreads) to[i] = from[i];
      const uint8_t* row = sources.current.level[0].at(32 * at.x, 32 * at.y + thread / 8);
      s.samples[thread / 8][thread % 8] = words_at(row)[thread % 8];
      if (thread < Candidates::kAround) load_subblock(s, at, thread);
      if (previous == nullptr || thread >= 16) return;
      const int x = 4 * at.x + thread % 4;
      const int y = 4 * at.y + thread / 4;
      const bool there = x < sources.subblocks_x() && y < sources.subblocks_y();
      s.before[thread] = there ? previous[y * sources.subblocks_x() + x] : Vector{0, 0};
    });
  }

  // A sub-block of the superblock, which has nothing yet, or next to it. What the tile does not
  // hold is not looked at later.
  BSQ_DEVICE void load_subblock(Shared& s, const SearchSuperblock& at, int i) const {
    const SearchTile& area = areas[at.tile];
    const int x = 4 * at.x + i % Candidates::kAroundWidth - 1;
    const int y = 4 * at.y + i / Candidates::kAroundWidth - 1;
    const bool inside = x >= 4 * at.x && y >= 4 * at.y;
    const bool there = !inside && x >= 4 * area.x_begin && y >= 4 * area.y_begin &&
                       x < 4 * area.x_end && x < sources.subblocks_x() && y < sources.subblocks_y();
    s.vectors[i] = there ? vectors[y * sources.subblocks_x() + x] : Vector{0, 0};
    s.differs[i] = there ? differs[y * sources.subblocks_x() + x] : uint8_t{0};
    s.split[i] = there ? split[y / 4 * superblocks_x + x / 4] : uint8_t{0};
  }

  template <class Block>
  BSQ_DEVICE int refine(Block& block, Candidates& candidates, const Place& place,
                        const SearchSuperblock& at, const CoarseResult& own) const {
    const SearchTile& area = block.shared().area;
    const Found found = candidates.template search<4>(block, place, ahead(place, at, own));
    const int near = candidates.near_superblock_split(block.shared(), place);
    const int together = found.cost + candidates.rate_cost(area.split[near][0]);
    const int flag = candidates.rate_cost(area.split[near][1]);
    const bool single =
        4 * at.x + 2 >= sources.subblocks_x() && 4 * at.y + 2 >= sources.subblocks_y();
    if (!single && together > flag + candidates.rate_cost(kLeastSplitBits * kOneBit)) {
      int how = 1;
      const int limit = together - flag;
      if (search_blocks(block, candidates, found.mv, limit, own, how) < limit) return how;
    }
    candidates.keep(block, place, found.mv);
    return 0;
  }

  // The displacements of superblocks that come later: the field should be smooth there too.
  BSQ_DEVICE Candidates::Hints ahead(const Place& place, const SearchSuperblock& at,
                                     const CoarseResult& own) const {
    const CoarseResult* superblock = &own;
    Candidates::Hints hints{
        {0, 0}, own.superblock, {0, 0}, at.y + 1 < superblocks_y, previous != nullptr};
    if (hints.has_ahead) hints.ahead = place.whole(superblock[superblocks_x].superblock);
    if (at.x + 1 < superblocks_x) hints.parent = place.whole(superblock[1].superblock);
    return hints;
  }

  // The cost of the superblock's blocks, whose vectors it leaves in shared memory; gives up at the
  // limit.
  template <class Block>
  BSQ_DEVICE int search_blocks(Block& block, Candidates& candidates, Vector parent, int limit,
                               const CoarseResult& own, int& how) const {
    int total = 0;
    for (int i = 0; i < 4; ++i) {
      const int x = i % 2 * 2;
      const int y = i / 2 * 2;
      if (!candidates.exists(x, y) || total >= limit) continue;
      const Place place = candidates.place(block.shared(), x, y, 2);
      const Found found = candidates.template search<1>(
          block, place, {parent, own.block[i], {0, 0}, false, previous != nullptr});
      total += decide_block(block, candidates, place, found, how, i);
    }
    return total;
  }

  // The lowest cost of a block; it may be split itself.
  template <class Block>
  BSQ_DEVICE int decide_block(Block& block, Candidates& candidates, const Place& place,
                              const Found& found, int& how, int index) const {
    const SearchTile& area = block.shared().area;
    const int near = candidates.near_subblock_split(block.shared(), place, how);
    const int together = found.cost + candidates.rate_cost(area.subblock_split[near][0]);
    const int flag = candidates.rate_cost(area.subblock_split[near][1]);
    if (area.fine != 0 && together > flag + candidates.rate_cost(kLeastSplitBits * kOneBit)) {
      const int apart =
          flag + search_subblocks(block, candidates, place, found.mv, together - flag);
      if (apart < together) {
        how |= 2 << index;
        return apart;
      }
    }
    candidates.keep(block, place, found.mv);
    return together;
  }

  // The same of a block's sub-blocks.
  template <class Block>
  BSQ_DEVICE int search_subblocks(Block& block, Candidates& candidates, const Place& parent_place,
                                  Vector parent, int limit) const {
    int total = 0;
    for (int i = 0; i < 4; ++i) {
      const int x = parent_place.x + i % 2;
      const int y = parent_place.y + i / 2;
      if (!candidates.exists(x, y) || total >= limit) continue;
      const Place place = candidates.place(block.shared(), x, y, 1);
      const Vector whole = vector_of(parent.x >> 2, parent.y >> 2);
      const Found found = candidates.template search<1>(
          block, place, {parent, whole, {0, 0}, false, previous != nullptr});
      candidates.keep(block, place, found.mv);
      total += found.cost;
    }
    return total;
  }
};

}  // namespace bsq::cuda
