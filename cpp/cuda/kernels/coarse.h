// The first stage of the motion search on the device: whole-sample displacements found in the small
// pictures, as motion/search_coarse.h finds them.
#pragma once

#include "cuda/kernels/search.h"

namespace bsq::cuda {

// CoarseShifts, and whether the window is unmoved, in which case all shifts are zero.
struct CoarseResult {
  Vector window;
  Vector part[4];
  int32_t still;
};

// A block searches a window: threads go over the displacements, first those of the quarter-size
// picture, then the neighbours of what came out at half size. The rows that displacements of a band
// touch pass through shared memory, where each of their bytes is read up to 64 times. Of equal
// costs the processor takes the first in its order, so the least of (cost, order) is sought.
struct CoarseKernel {
  static constexpr int kThreads = 256;
  static constexpr int kWarps = kThreads / kWarp;
  static constexpr int kAreas = 5;  // the window and its parts
  static constexpr int kSide = 8;   // of a window at quarter size
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
    uint32_t window[kSide][2];
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
  int windows_x;
  int windows_y;
  CoarseResult* out;  // by window

  int64_t blocks() const { return int64_t{windows_x} * windows_y; }

  template <class Block>
  BSQ_DEVICE void run(Block& block) const {
    const Area window = area(block.index() % windows_x * 32, block.index() / windows_x * 32, 32);
    CoarseResult& result = out[block.index()];
    if (is_static(block, window)) {
      block.each_apart([&](int thread, Local&) {
        if (thread == 0) result = {{0, 0}, {{0, 0}, {0, 0}, {0, 0}, {0, 0}}, 1};
      });
      return;
    }
    search_quarter(block, window);
    measure_near(block, window, 2);
    block.each([&](int thread, Local&) {
      Shared& s = block.shared();
      if (thread >= kAreas) return;
      const bool second = !(s.second[thread] == s.first[thread]) &&
                          s.sums[thread * kNear + 1] < s.sums[thread * kNear];
      s.centre[thread] = second ? s.second[thread] : s.first[thread];
    });
    measure_near(block, window, kNear);
    block.each_apart([&](int thread, Local&) {
      if (thread >= kAreas) return;
      const Vector v = nearest(block.shared(), window, thread);
      (thread == 0 ? result.window : result.part[thread - 1]) = v;
      if (thread == 0) result.still = 0;
    });
  }

 private:
  // Full-size samples, cut off at the picture's border.
  struct Area {
    int x, y, width, height;
  };

  BSQ_DEVICE Area area(int x, int y, int size) const {
    const SearchLevel& full = current.level[0];
    return {x, y, full.width - x < size ? full.width - x : size,
            full.height - y < size ? full.height - y : size};
  }
  // That of index 0 is the window itself; parts beyond the border have no samples.
  BSQ_DEVICE Area area_of(const Area& window, int index) const {
    if (index == 0) return window;
    Area part = area(window.x + (index - 1) % 2 * 16, window.y + (index - 1) / 2 * 16, 16);
    if (part.width <= 0 || part.height <= 0) part.width = part.height = 0;
    return part;
  }
  BSQ_DEVICE SearchLimits limits(const Area& a, int level) const {
    return SearchLimits::of(current, level, a.x, a.y, a.width, a.height);
  }
  // Those of the search at quarter size.
  BSQ_DEVICE SearchLimits searched(const Area& window) const {
    SearchLimits found = limits(window, 2);
    found.narrow(-(range >> 2), range >> 2);
    return found;
  }

  // Eight threads a cell, each with a row of it.
  template <class Block>
  BSQ_DEVICE bool is_static(Block& block, const Area& window) const {
    block.each_apart([&](int thread, Local& local) {
      const int cell = thread / 8;
      const int x = window.x + cell % 4 * 8;
      const int y = window.y + cell / 4 * 8 + thread % 8;
      local.sums[0] = 0;
      if (cell >= 16 || x >= window.x + window.width || y >= window.y + window.height) return;
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

  // A 16th of the samples are there, so a 16th of a bit's price.
  BSQ_DEVICE uint32_t bias(int d) const {
    const int bits = 2 * digits(static_cast<uint32_t>(16 * magnitude(d))) + 1;
    return static_cast<uint32_t>(lambda * bits / 16 / kCostOne);
  }

  template <class Block>
  BSQ_DEVICE void search_quarter(Block& block, const Area& window) const {
    const SearchLimits lim = searched(window);
    const int places = lim.x_max - lim.x_min + 1;
    Shared& shared = block.shared();
    const SearchLevel& small = reference.level[2];
    const uint8_t* corner = small.at((window.x >> 2) + lim.x_min, (window.y >> 2) + lim.y_min);
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
        load_window(thread, window, shared);
        for (uint32_t& least : local.least) least = kNone;
      });
      block.each([&](int thread, Local& local) {
        for (int i = thread; i < band * places; i += kThreads) {
          const int dy = top + i / places;
          const int dx = lim.x_min + i % places;
          const int order = (dy - lim.y_min) * places + i % places;
          compare(shared, window, i / places, byte_in_word(corner) + i % places,
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
      if (thread < kAreas) begin_half(shared, window, thread, places);
    });
  }

  // A row of the window at quarter size: samples beyond its width are not compared.
  BSQ_DEVICE void load_window(int thread, const Area& window, Shared& shared) const {
    if (thread >= 2 * kSide) return;
    const int y = thread / 2;
    const uint8_t* row = current.level[2].at(window.x >> 2, (window.y >> 2) + y);
    shared.window[y][thread % 2] = words_at(row)[thread % 2];
  }

  // The differences of the parts and of all under one displacement.
  BSQ_DEVICE void compare(const Shared& shared, const Area& window, int row, int byte,
                          uint32_t price, uint32_t order, Local& local) const {
    const int width = window.width >> 2;
    const int height = window.height >> 2;
    uint32_t sums[4] = {0, 0, 0, 0};
    BSQ_UNROLL
    for (int y = 0; y < kSide; ++y) {
      if (y >= height) break;
      const uint32_t* from = &shared.rows[row + y][byte >> 2];
      const uint32_t left = four_bytes(from[0], from[1], byte & 3);
      const uint32_t right = four_bytes(from[1], from[2], byte & 3);
      sums[y / 4 * 2] += sad4(shared.window[y][0] & mask(width), left & mask(width));
      sums[y / 4 * 2 + 1] += sad4(shared.window[y][1] & mask(width - 4), right & mask(width - 4));
    }
    uint32_t all = price;
    for (int i = 0; i < 4; ++i) {
      all += sums[i];
      keep_least((sums[i] + price) << kOrderBits | order, local.least[i + 1]);
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
  BSQ_DEVICE void begin_half(Shared& shared, const Area& window, int index, int places) const {
    const SearchLimits small = searched(window);
    const SearchLimits lim = limits(area_of(window, index), 1);
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
  BSQ_DEVICE void measure_near(Block& block, const Area& window, int count) const {
    Shared& shared = block.shared();
    block.each_apart([&](int thread, Local& local) {
      for (int round = 0; round < 4; ++round) {
        const int job = round * (kThreads / 8) + thread / 8;
        local.sums[round] = 0;
        if (job >= kAreas * count) continue;
        const Area a = area_of(window, job / count);
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
        const bool allowed = limits(area_of(window, job / count), 1).contains(v.x, v.y);
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
  BSQ_DEVICE Vector nearest(const Shared& shared, const Area& window, int index) const {
    if (area_of(window, index).width == 0) return {0, 0};
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
