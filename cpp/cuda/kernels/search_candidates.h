// The vectors that the refinement of a superblock tries: their differences, measured a step's at
// once and remembered, as SubblockCosts of motion/search_subblocks.h remembers them, and the
// descent.
#pragma once

#include "cuda/kernels/search_neighbours.h"

namespace bsq::cuda {

// With the memory of one superblock's refinement.
class SearchCandidates : public SearchPlaces {
 public:
  static constexpr int kSlots = 8;  // vectors of a step at most, each measured by a warp
  static constexpr int kThreads = kSlots * kWarp;
  static constexpr int kEntries = kMaxTried + kSlots;  // the last ones are not remembered

  // What the warps found out about a step's vectors.
  struct Step {
    alignas(16) uint32_t match[kSlots];
    alignas(16) uint32_t recalled[2][kSlots];  // the least cost of a remembered vector; its number
    Vector vector[kSlots];
  };
  struct Shared : SearchPlaces::Shared {
    uint32_t samples[32][8];
    Vector before[16];  // of the frame before
    // In the order in which they were tried. Costs of an entry lie far apart, and those of a
    // sub-block side by side, as a warp reads them.
    Vector tried[kEntries];
    uint16_t known[kEntries];  // a bit per sub-block
    uint16_t cost[16][kEntries];
    alignas(16) uint32_t cost_of[kSlots];
    Step steps[2];  // in turn, so that one may be written while another is still read
  };
  struct Local {
    uint32_t words[4][3];
    uint32_t values[16];
    uint32_t sums[4];
    uint32_t match[1];
    uint32_t total[1];
    uint32_t recalled[2];
    uint32_t own[2];
    uint32_t rate;
    Vector vector;
    int32_t entry;
    bool measured;
  };

  struct Found {
    Vector mv;
    int cost;
  };
  // Vectors that are tried besides those of neighbours.
  struct Hints {
    Vector parent;
    Vector coarse;  // whole samples
    Vector ahead;   // only measured, so that it is known
    bool has_ahead;
    bool has_before;
  };

  BSQ_DEVICE SearchCandidates(const SearchSources& sources, int x, int y)
      : SearchPlaces(sources, x, y) {}

  // The best vector of a square. kRows: 4 for a superblock, 1 for others.
  template <int kRows, class Block>
  BSQ_DEVICE Found search(Block& block, const Place& p, const Hints& hints) {
    Found best{{0, 0}, kMost};
    for (int step = hints.has_ahead ? kAhead : kFirst; step > 0; step /= 2) {
      const int rounds = step == 4 ? 8 : step < 4 ? 2 : 1;
      for (int round = 0; round < rounds; ++round) {
        const Vector centre = best.mv;
        measure<kRows>(block, p, hints, step, centre);
        if (step != kAhead) choose(block.shared(), step, best);
        if (best.mv == centre) break;
      }
    }
    return best;
  }

 private:
  // Steps of a search: the vector ahead, the list of candidates, and then neighbours that far away.
  static constexpr int kAhead = 16;
  static constexpr int kFirst = 8;
  static constexpr int kMost = 0x7FFFFFFF;
  static constexpr uint32_t kNone = ~uint32_t{0};
  // What a slot's vector is: nothing to try, new, or that of entry (match - 2) / 2, of which an odd
  // one is not known in all sub-blocks of the square.
  static constexpr uint32_t kNothing = 0;
  static constexpr uint32_t kFresh = kNone;

  // The vector of a slot; false where there is none or it is not allowed.
  BSQ_DEVICE bool candidate(const Shared& s, const Place& p, const Hints& hints, int step,
                            Vector centre, int slot, Vector* v) const {
    bool there = true;
    if (step < kFirst) {
      const int place = slot < 4 ? slot : slot + 1;
      *v = vector_of(centre.x + (place % 3 - 1) * step, centre.y + (place / 3 - 1) * step);
    } else if (step == kAhead) {
      *v = hints.ahead;
      there = slot == 0;
    } else if (slot == 0) {
      *v = p.predictor;
    } else if (slot == 1) {
      *v = {0, 0};
    } else if (slot == 2) {
      *v = hints.parent;
    } else if (slot < 6) {
      *v = slot == 3 ? p.near[0] : slot == 4 ? p.near[1] : p.near[2];
      there = slot == 3 ? p.has[0] : slot == 4 ? p.has[1] : p.has[2];
    } else if (slot == 6) {
      *v = s.before[4 * p.y + p.x];
      there = hints.has_before;
    } else {
      *v = p.whole(hints.coarse);
    }
    return there && p.limits.contains(v->x >> 2, v->y >> 2);
  }

  // Finds out which vectors of a step are remembered, measures the others and remembers them.
  template <int kRows, class Block>
  BSQ_DEVICE void measure(Block& block, const Place& p, const Hints& hints, int step,
                          Vector centre) {
    turn_ ^= 1;
    Shared& s = block.shared();
    Step& now = s.steps[turn_];
    // The samples are on their way while the warp looks for the vector in its memory.
    block.each_apart([&](int thread, Local& local) {
      const bool there = candidate(s, p, hints, step, centre, thread / kWarp, &local.vector);
      local.match[0] = there ? kFresh : kNothing;
      if (!there) return;
      load<kRows>(p, thread % kWarp, local);
      local.rate = static_cast<uint32_t>(vector_cost(s, p, local.vector));
      look_up(s, p, thread % kWarp, local);
      if (step != kFirst || thread % kWarp >= thread / kWarp) return;
      Vector other;  // of two equal ones the second changes nothing
      const bool twice =
          candidate(s, p, hints, step, centre, thread % kWarp, &other) && other == local.vector;
      if (twice) local.match[0] = kNothing;
    });
    block.template least<1>([](Local& local) { return local.match; });
    if (step == kFirst && used_ > 0) recall(block, p);
    block.each([&](int thread, Local& local) {
      if (thread % kWarp != 0) return;
      const int slot = thread / kWarp;
      now.match[slot] = local.match[0];
      now.vector[slot] = local.vector;
      now.recalled[0][slot] = step == kFirst && used_ > 0 ? local.recalled[0] : kNone;
      now.recalled[1][slot] = local.recalled[1];
    });
    uint32_t fresh = 0;
    BSQ_UNROLL
    for (int slot = 0; slot < kSlots; ++slot) {
      if (now.match[slot] == kFresh) fresh |= uint32_t{1} << slot;
    }
    differ<kRows>(block, p, fresh);
    used_ = least_of(used_ + ones(fresh), kMaxTried);
  }

  // Looks for a slot's vector among those that were tried.
  BSQ_DEVICE void look_up(const Shared& s, const Place& p, int lane, Local& local) const {
    for (int i = lane; i < used_; i += kWarp) {
      if (!(s.tried[i] == local.vector)) continue;
      const bool known = (s.known[i] & p.subblocks) == p.subblocks;
      local.match[0] = static_cast<uint32_t>(2 + 2 * i + (known ? 0 : 1));
    }
  }

  // The best of the vectors that are known for the whole square from before this step: what the
  // step itself tries is compared anyway, and first. The least cost of every warp, and the first
  // entry that has it.
  template <class Block>
  BSQ_DEVICE void recall(Block& block, const Place& p) const {
    Shared& s = block.shared();
    block.each_apart([&](int thread, Local& local) {
      local.own[0] = local.own[1] = kNone;
      for (int i = thread; i < used_; i += kThreads) {
        if ((s.known[i] & p.subblocks) != p.subblocks) continue;
        uint32_t sum = 0;
        for (int subblock = 0; subblock < 16; ++subblock) {
          if ((p.subblocks >> subblock & 1) != 0) sum += s.cost[subblock][i];
        }
        const uint32_t cost = sum * kCostOne + static_cast<uint32_t>(vector_cost(s, p, s.tried[i]));
        if (cost >= local.own[0]) continue;
        local.own[0] = cost;
        local.own[1] = static_cast<uint32_t>(i);
      }
      local.recalled[0] = local.own[0];
    });
    block.template least<1>([](Local& local) { return local.recalled; });
    block.each_apart([&](int, Local& local) {
      local.recalled[1] = local.own[0] == local.recalled[0] ? local.own[1] : kNone;
    });
    block.template least<1>([](Local& local) { return local.recalled + 1; });
  }

  // Every eight threads of a warp make a sub-block of the square, a row each: all four of a block,
  // a row of a superblock's four after the other.
  template <int kRows>
  BSQ_DEVICE static int subblock_of(const Place& p, int row, int lane) {
    const int i = lane / 8;
    if (kRows > 1) return 4 * row + i;
    return i < p.size * p.size ? 4 * (p.y + i / 2) + p.x + i % 2 : 31;
  }
  BSQ_DEVICE static bool has_subblock(const Place& p, int subblock) {
    return (p.subblocks >> subblock & 1) != 0;
  }

  template <int kRows>
  BSQ_DEVICE void load(const Place& p, int lane, Local& local) const {
    BSQ_UNROLL
    for (int row = 0; row < kRows; ++row) {
      const int subblock = subblock_of<kRows>(p, row, lane);
      if (!has_subblock(p, subblock)) continue;
      const uint32_t* from = words_at(sources_.phases.at(
          8 * (x_ + subblock % 4), 8 * (y_ + subblock / 4) + lane % 8, local.vector));
      BSQ_UNROLL
      for (int i = 0; i < 3; ++i) local.words[row][i] = from[i];
    }
  }

  // Hadamard differences of the slots' vectors, and their sums over the square.
  template <int kRows, class Block>
  BSQ_DEVICE void differ(Block& block, const Place& p, uint32_t fresh) const {
    Shared& s = block.shared();
    block.each_apart([&](int thread, Local& local) {
      begin_entry(thread / kWarp, fresh, local);
      if (!local.measured) return;
      BSQ_UNROLL
      for (int row = 0; row < kRows; ++row) {
        const int subblock = subblock_of<kRows>(p, row, thread % kWarp);
        transform_row(s, subblock, thread % 8, has_subblock(p, subblock), local.words[row],
                      local.vector, local.values + 4 * row);
      }
    });
    const auto measured = [](const Local& local) { return local.measured; };
    for (int distance = 1; distance < 8; distance *= 2) {
      block.template butterfly<4 * kRows>(distance, measured,
                                          [](Local& local) { return local.values; });
    }
    block.each_apart([&](int, Local& local) {
      if (!local.measured) return;
      BSQ_UNROLL
      for (int row = 0; row < kRows; ++row) {
        local.sums[row] = 0;
        BSQ_UNROLL
        for (int i = 0; i < 4; ++i) local.sums[row] += larger(local.values[4 * row + i]);
      }
    });
    for (int distance = 1; distance < 8; distance *= 2) {
      block.template butterfly<kRows>(distance, measured, [](Local& local) { return local.sums; });
    }
    add_subblocks<kRows>(block, p, fresh);
  }

  // Where a slot's costs are, and whether they are yet to be measured.
  BSQ_DEVICE void begin_entry(int slot, uint32_t fresh, Local& local) const {
    const uint32_t match = local.match[0];
    local.measured = match != kNothing && match % 2 != 0;
    if (match != kFresh) {
      local.entry = static_cast<int32_t>(match / 2) - 1;
      return;
    }
    const int entry = used_ + ones(fresh & ((uint32_t{1} << slot) - 1));
    local.entry = entry < kMaxTried ? entry : kMaxTried + slot;
  }

  // A sub-block's row transformed along x but for the last stage, two values a word: sums and
  // differences of words are those of both halves as long as the upper one is read as what is left
  // when the lower, with its sign, is taken away.
  BSQ_DEVICE void transform_row(const Shared& s, int subblock, int row, bool there,
                                const uint32_t (&words)[3], Vector v, uint32_t* values) const {
    constexpr uint32_t kEven = 0x00FF00FF;
    if (!there) {
      for (int i = 0; i < 4; ++i) values[i] = 0;
      return;
    }
    // Rows of phases are a multiple of words apart, sub-blocks two words.
    const int byte = ((v.x >> 2) + kPhaseReach) & 3;
    const uint32_t* own = &s.samples[subblock / 4 * 8 + row][subblock % 4 * 2];
    const uint32_t left = four_bytes(words[0], words[1], byte);
    const uint32_t right = four_bytes(words[1], words[2], byte);
    const uint32_t a = (own[0] & kEven) - (left & kEven);
    const uint32_t b = (own[0] >> 8 & kEven) - (left >> 8 & kEven);
    const uint32_t c = (own[1] & kEven) - (right & kEven);
    const uint32_t d = (own[1] >> 8 & kEven) - (right >> 8 & kEven);
    values[0] = a + b + c + d;
    values[1] = a - b + c - d;
    values[2] = a + b - c - d;
    values[3] = a - b - c + d;
  }

  // |p + q| + |p - q| = 2 max(|p|, |q|) is the last stage and the sum of what comes out.
  BSQ_DEVICE static uint32_t larger(uint32_t both) {
    const int32_t lower = static_cast<int16_t>(both & 0xFFFF);
    const int32_t upper = static_cast<int32_t>(both - static_cast<uint32_t>(lower)) >> 16;
    const int32_t p = magnitude(lower);
    const int32_t q = magnitude(upper);
    return static_cast<uint32_t>(p > q ? p : q);
  }

  // From the sums of sub-blocks, or what is remembered of them, to those of squares.
  template <int kRows, class Block>
  BSQ_DEVICE void add_subblocks(Block& block, const Place& p, uint32_t fresh) const {
    Shared& s = block.shared();
    block.each_apart([&](int thread, Local& local) {
      local.total[0] = 0;
      if (local.match[0] == kNothing || thread % 8 != 0) return;
      BSQ_UNROLL
      for (int row = 0; row < kRows; ++row) {
        const int subblock = subblock_of<kRows>(p, row, thread % kWarp);
        if (!has_subblock(p, subblock)) continue;
        uint16_t& cost = s.cost[subblock][local.entry];
        if (local.measured) cost = static_cast<uint16_t>(local.sums[row] / 2);
        local.total[0] += cost;
      }
    });
    for (int distance = 8; distance < kWarp; distance *= 2) {
      block.template butterfly<1>(
          distance, [](const Local& local) { return local.match[0] != kNothing; },
          [](Local& local) { return local.total; });
    }
    block.each([&](int thread, Local& local) {
      if (thread % kWarp != 0) return;
      const int slot = thread / kWarp;
      s.cost_of[slot] = local.match[0] == kNothing ? kNone : local.total[0] * kCostOne + local.rate;
      if (!local.measured) return;
      const bool is_new = (fresh >> slot & 1) != 0;
      const uint32_t known = is_new ? 0 : s.known[local.entry];
      s.tried[local.entry] = local.vector;
      s.known[local.entry] = static_cast<uint16_t>(known | p.subblocks);
    });
  }

  // Of equal costs the first stays: slots in their order, then what was remembered in its.
  BSQ_DEVICE void choose(const Shared& s, int step, Found& best) const {
    const Step& now = s.steps[turn_];
    auto cost = static_cast<uint32_t>(best.cost);
    int slot = -1;
    BSQ_UNROLL
    for (int i = 0; i < kSlots; ++i) {
      if (s.cost_of[i] >= cost) continue;
      cost = s.cost_of[i];
      slot = i;
    }
    if (slot >= 0) best.mv = now.vector[slot];
    if (step == kFirst) {
      uint32_t least = kNone;
      uint32_t entry = kNone;
      BSQ_UNROLL
      for (int i = 0; i < kSlots; ++i) {
        const uint32_t other = now.recalled[0][i];
        if (other > least || (other == least && now.recalled[1][i] >= entry)) continue;
        least = other;
        entry = now.recalled[1][i];
      }
      if (least < cost) {
        cost = least;
        best.mv = s.tried[entry];
      }
    }
    best.cost = static_cast<int>(cost);
  }

  int used_ = 0;  // vectors that are remembered
  int turn_ = 0;
};

}  // namespace bsq::cuda
