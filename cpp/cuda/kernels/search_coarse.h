// The coarse motion search on the device: whole-sample displacements found in the small
// frames, as motion/search_coarse.h finds them.
#pragma once

#include "cuda/kernels/search.h"

namespace bsq::cuda {

// CoarseShifts, and whether the superblock is unmoved, in which case all shifts are zero.
struct CoarseResult {
  Vector superblock;
  Vector block[4];
  int32_t still;
};

// A block searches a superblock: threads go over the displacements, first those of the quarter-size
// frame, then the neighbours of what came out at half size. The rows that displacements of a band
// touch pass through shared memory, where each of their bytes is read up to 64 times. Of equal
// costs the processor takes the first in its order, so the least of (cost, order) is sought.
struct CoarseKernel {
  static constexpr int kThreads = 256;
  static constexpr int kWarps = kThreads / kWarp;
  static constexpr int kAreas = 5;  // the superblock and its blocks
  static constexpr int kSide = 8;   // of a superblock at quarter size
  static constexpr int kBand = 32;  // displacements along y that are searched at once
  static constexpr int kPlaces = 2 * (kMaxSearchRange / 4) + 1;
  static constexpr int kRowWords = (3 + kPlaces - 1 + kSide + 3) / 4 + 1;
  static constexpr int kNear = 25;       // displacements that are compared at half size
  static constexpr int kOrderBits = 17;  // of an order at quarter size
  static constexpr int kNearBits = 5;    // and at half size
  static constexpr uint32_t kNone = ~uint32_t{0};
  static_assert(kPlaces * kPlaces <= 1 << kOrderBits && kNear <= 1 << kNearBits);

  struct Shared {
    uint32_t rows[kBand + kSide - 1][kRowWords];
    uint32_t superblock[kSide][2];
    uint32_t least[kWarps][kAreas];
    uint32_t sums[kAreas * kNear];
    Vector first[kAreas];  // at half size
    Vector second[kAreas];
    Vector centre[kAreas];
  };
  struct Local {
    uint32_t least[kAreas];
    uint32_t sums[4];
  };
  static_assert(kAreas * kNear <= 4 * kThreads / 8);

  SearchLevels current;
  SearchLevels reference;
  int range;
  int lambda;
  int superblocks_x;
  int superblocks_y;
  CoarseResult* out;  // by superblock

  int64_t blocks() const { return int64_t{superblocks_x} * superblocks_y; }

  template <class Block>
  BSQ_DEVICE void run(Block& block) const {
    const Area superblock =
        area(block.index() % superblocks_x * 32, block.index() / superblocks_x * 32, 32);
    CoarseResult& result = out[block.index()];
    if (is_static(block, superblock)) {
      block.each_apart([&](int thread, Local&) {
        if (thread == 0) result = {{0, 0}, {{0, 0}, {0, 0}, {0, 0}, {0, 0}}, 1};
      });
      return;
    }
    search_quarter(block, superblock);
    measure_near(block, superblock, 2);
    block.each([&](int thread, Local&) {
      Shared& s = block.shared();
      if (thread >= kAreas) return;
      const bool second = !(s.second[thread] == s.first[thread]) &&
                          s.sums[thread * kNear + 1] < s.sums[thread * kNear];
      s.centre[thread] = second ? s.second[thread] : s.first[thread];
    });
    measure_near(block, superblock, kNear);
    block.each_apart([&](int thread, Local&) {
      if (thread >= kAreas) return;
      const Vector v = nearest(block.shared(), superblock, thread);
      (thread == 0 ? result.superblock : result.block[thread - 1]) = v;
      if (thread == 0) result.still = 0;
    });
  }

 private:
  // Full-size samples, cut off at the frame's border.
  struct Area {
    int x, y, width, height;
  };

  BSQ_DEVICE Area area(int x, int y, int size) const {
    const SearchLevel& full = current.level[0];
    return {x, y, full.width - x < size ? full.width - x : size,
            full.height - y < size ? full.height - y : size};
  }
  // That of index 0 is the superblock itself; blocks beyond the border have no samples.
  BSQ_DEVICE Area area_of(const Area& superblock, int index) const {
    if (index == 0) return superblock;
    Area block = area(superblock.x + (index - 1) % 2 * 16, superblock.y + (index - 1) / 2 * 16, 16);
    if (block.width <= 0 || block.height <= 0) block.width = block.height = 0;
    return block;
  }
  BSQ_DEVICE SearchLimits limits(const Area& a, int level) const {
    return SearchLimits::of(current, level, a.x, a.y, a.width, a.height);
  }
  // Those of the search at quarter size.
  BSQ_DEVICE SearchLimits searched(const Area& superblock) const {
    SearchLimits found = limits(superblock, 2);
    found.narrow(-(range >> 2), range >> 2);
    return found;
  }

  // Eight threads a sub-block, each with a row of it.
  template <class Block>
  BSQ_DEVICE bool is_static(Block& block, const Area& superblock) const {
    block.each_apart([&](int thread, Local& local) {
      const int subblock = thread / 8;
      const int x = superblock.x + subblock % 4 * 8;
      const int y = superblock.y + subblock / 4 * 8 + thread % 8;
      local.sums[0] = 0;
      if (subblock >= 16 || x >= superblock.x + superblock.width ||
          y >= superblock.y + superblock.height)
        return;
      const uint32_t* a = words_at(current.level[0].at(x, y));
      const uint32_t* b = words_at(reference.level[0].at(x, y));
      local.sums[0] = sad4(a[0], b[0]) + sad4(a[1], b[1]);
    });
    add_eights<1>(block);
    block.each([&](int thread, Local& local) {
      if (thread % 8 == 0) block.shared().sums[thread / 8] = local.sums[0];
    });
    bool still = true;
    for (int i = 0; i < 16; ++i) still = still && block.shared().sums[i] < 64 * kStaticPerSample;
    return still;
  }

  // Leaves in the first of every eight threads the sums of all of them.
  template <int kCount, class Block>
  BSQ_DEVICE static void add_eights(Block& block) {
    for (int distance = 1; distance < 8; distance *= 2) {
      block.template butterfly<kCount>(
          distance, [](const Local&) { return true; }, [](Local& local) { return local.sums; });
    }
  }

  // A 16th of the samples are there, so a 16th of a bit's rate.
  BSQ_DEVICE uint32_t bias(int d) const {
    const int bits = 2 * digits(static_cast<uint32_t>(16 * magnitude(d))) + 1;
    return static_cast<uint32_t>(lambda * bits / 16 / kCostOne);
  }

  template <class Block>
  BSQ_DEVICE void search_quarter(Block& block, const Area& superblock) const {
    const SearchLimits lim = searched(superblock);
    const int places = lim.x_max - lim.x_min + 1;
    Shared& shared = block.shared();
    const SearchLevel& small = reference.level[2];
    const uint8_t* corner =
        small.at((superblock.x >> 2) + lim.x_min, (superblock.y >> 2) + lim.y_min);
    const int words = (byte_in_word(corner) + places - 1 + kSide + 3) / 4 + 1;
    for (int top = lim.y_min; top <= lim.y_max; top += kBand) {
      const int band = lim.y_max - top + 1 < kBand ? lim.y_max - top + 1 : kBand;
      block.each([&](int thread, Local& local) {
        for (int i = thread; i < (band + kSide - 1) * words; i += kThreads) {
          const uint8_t* row =
              corner + static_cast<int64_t>(top - lim.y_min + i / words) * small.stride;
          shared.rows[i / words][i % words] = words_at(row)[i % words];
        }
        if (top != lim.y_min) return;
        load_superblock(thread, superblock, shared);
        for (uint32_t& least : local.least) least = kNone;
      });
      block.each([&](int thread, Local& local) {
        for (int i = thread; i < band * places; i += kThreads) {
          const int dy = top + i / places;
          const int dx = lim.x_min + i % places;
          const int order = (dy - lim.y_min) * places + i % places;
          compare(shared, superblock, i / places, byte_in_word(corner) + i % places,
                  bias(dx) + bias(dy), static_cast<uint32_t>(order), local);
        }
      });
    }
    block.template least<kAreas>([](Local& local) { return local.least; });
    block.each([&](int thread, Local& local) {
      if (thread % kWarp != 0) return;
      for (int i = 0; i < kAreas; ++i) shared.least[thread / kWarp][i] = local.least[i];
    });
    block.each([&](int thread, Local&) {
      if (thread < kAreas) begin_half(shared, superblock, thread, places);
    });
  }

  // A row of the superblock at quarter size: samples beyond its width are not compared.
  BSQ_DEVICE void load_superblock(int thread, const Area& superblock, Shared& shared) const {
    if (thread >= 2 * kSide) return;
    const int y = thread / 2;
    const uint8_t* row = current.level[2].at(superblock.x >> 2, (superblock.y >> 2) + y);
    shared.superblock[y][thread % 2] = words_at(row)[thread % 2];
  }

  // The differences of the blocks and of all under one displacement.
  BSQ_DEVICE void compare(const Shared& shared, const Area& superblock, int row, int byte,
                          uint32_t rate, uint32_t order, Local& local) const {
    const int width = superblock.width >> 2;
    const int height = superblock.height >> 2;
    uint32_t sums[4] = {0, 0, 0, 0};
    BSQ_UNROLL
    for (int y = 0; y < kSide; ++y) {
      if (y >= height) break;
      const uint32_t* from = &shared.rows[row + y][byte >> 2];
      const uint32_t left = four_bytes(from[0], from[1], byte & 3);
      const uint32_t right = four_bytes(from[1], from[2], byte & 3);
      sums[y / 4 * 2] += sad4(shared.superblock[y][0] & mask(width), left & mask(width));
      sums[y / 4 * 2 + 1] +=
          sad4(shared.superblock[y][1] & mask(width - 4), right & mask(width - 4));
    }
    uint32_t all = rate;
    for (int i = 0; i < 4; ++i) {
      all += sums[i];
      keep_least((sums[i] + rate) << kOrderBits | order, local.least[i + 1]);
    }
    keep_least(all << kOrderBits | order, local.least[0]);
  }

  // The bytes of a word that `width` samples fill.
  BSQ_DEVICE static uint32_t mask(int width) {
    return width >= 4 ? kNone : width <= 0 ? 0 : (uint32_t{1} << (8 * width)) - 1;
  }
  BSQ_DEVICE static void keep_least(uint32_t value, uint32_t& least) {
    least = value < least ? value : least;
  }

  // What came out at quarter size, in samples of it.
  BSQ_DEVICE Vector found(const Shared& shared, const SearchLimits& lim, int places,
                          int index) const {
    uint32_t least = kNone;
    for (int i = 0; i < kWarps; ++i) keep_least(shared.least[i][index], least);
    const auto order = static_cast<int>(least & ((uint32_t{1} << kOrderBits) - 1));
    return vector_of(lim.x_min + order % places, lim.y_min + order / places);
  }

  // The two displacements that an area's refinement begins from.
  BSQ_DEVICE void begin_half(Shared& shared, const Area& superblock, int index, int places) const {
    const SearchLimits small = searched(superblock);
    const SearchLimits lim = limits(area_of(superblock, index), 1);
    const Vector own = found(shared, small, places, index);
    const Vector other = index == 0 ? Vector{0, 0} : found(shared, small, places, 0);
    shared.first[index] = lim.clamped(2 * own.x, 2 * own.y);
    shared.second[index] = lim.clamped(2 * other.x, 2 * other.y);
  }

  // The k-th displacement that is compared: the two to choose the centre from, or where `count`
  // says that it is chosen, the centre and then its neighbours in the processor's order.
  BSQ_DEVICE static Vector near(const Shared& shared, int index, int k, int count) {
    if (count == 2) return k == 0 ? shared.first[index] : shared.second[index];
    if (k == 0) return shared.centre[index];
    const int place = k <= kNear / 2 ? k - 1 : k;
    return vector_of(shared.centre[index].x + place % 5 - 2,
                     shared.centre[index].y + place / 5 - 2);
  }

  // Differences of all areas under the first `count` displacements, kNone where one is not allowed.
  // Eight threads share the rows of an area.
  template <class Block>
  BSQ_DEVICE void measure_near(Block& block, const Area& superblock, int count) const {
    Shared& shared = block.shared();
    block.each_apart([&](int thread, Local& local) {
      for (int round = 0; round < 4; ++round) {
        const int job = round * (kThreads / 8) + thread / 8;
        local.sums[round] = 0;
        if (job >= kAreas * count) continue;
        const Area a = area_of(superblock, job / count);
        const Vector v = near(shared, job / count, job % count, count);
        if (limits(a, 1).contains(v.x, v.y)) local.sums[round] = difference(a, v, thread % 8);
      }
    });
    add_eights<4>(block);
    block.each([&](int thread, Local& local) {
      for (int round = 0; round < 4; ++round) {
        const int job = round * (kThreads / 8) + thread / 8;
        if (thread % 8 != 0 || job >= kAreas * count) continue;
        const Vector v = near(shared, job / count, job % count, count);
        const bool allowed = limits(area_of(superblock, job / count), 1).contains(v.x, v.y);
        shared.sums[job / count * kNear + job % count] = allowed ? local.sums[round] : kNone;
      }
    });
  }

  // Of every eighth row of an area at half size.
  BSQ_DEVICE uint32_t difference(const Area& a, Vector v, int first) const {
    const int x = a.x >> 1;
    const int y = a.y >> 1;
    uint32_t sum = 0;
    for (int row = first; row < a.height >> 1; row += 8) {
      const uint32_t* own = words_at(current.level[1].at(x, y + row));
      const uint8_t* from = reference.level[1].at(x + v.x, y + row + v.y);
      const uint32_t* other = words_at(from);
      for (int i = 0; i < a.width >> 3; ++i) {
        sum += sad4(own[i], four_bytes(other[i], other[i + 1], byte_in_word(from)));
      }
    }
    return sum;
  }

  // The best at half size, in full-size samples.
  BSQ_DEVICE Vector nearest(const Shared& shared, const Area& superblock, int index) const {
    if (area_of(superblock, index).width == 0) return {0, 0};
    uint32_t best = kNone;
    for (int k = 0; k < kNear; ++k) {
      const uint32_t sum = shared.sums[index * kNear + k];
      if (sum != kNone) keep_least(sum << kNearBits | static_cast<uint32_t>(k), best);
    }
    const int k = static_cast<int>(best & ((uint32_t{1} << kNearBits) - 1));
    const Vector v = near(shared, index, k, kNear);
    return vector_of(2 * v.x, 2 * v.y);
  }
};

}  // namespace bsq::cuda
