// A superblock's surroundings on the device, and what they say of its squares: MotionNeighbours of
// motion/motion_field.h and the rates of vectors.
#pragma once

#include "cuda/kernels/search.h"

namespace bsq::cuda {

constexpr int kOneBit = 256;  // rates count 256ths of a bit

// A tile: the superblocks inside which vectors are predicted, and MotionRates of
// motion/search_rates.h.
struct SearchTile {
  int32_t x_begin, y_begin, x_end, y_end;
  int32_t fine;
  int32_t split[3][2];
  int32_t subblock_split[3][2];
  int32_t same[3][3][2];
  int32_t x[16];
  int32_t y[16];
};

// A superblock of the frame and the number of its tile.
struct SearchSuperblock {
  int16_t x;
  int16_t y;
  int32_t tile;
};

struct SearchSources {
  SearchLevels current;
  PhasePlanes phases;
  int lambda;

  BSQ_DEVICE int subblocks_x() const { return current.level[0].width / 8; }
  BSQ_DEVICE int subblocks_y() const { return current.level[0].height / 8; }
};

// What all threads of a block know alike of the superblock that they refine. Sub-blocks are counted
// from the superblock's first.
class SearchPlaces {
 public:
  static constexpr int kAroundWidth =
      6;  // the superblock's sub-blocks, those above and those to the left
  static constexpr int kAround = kAroundWidth * 5;

  struct Shared {
    SearchTile area;
    Vector vectors[kAround];
    uint8_t differs[kAround];
    uint8_t split[kAround];  // of the superblocks of these sub-blocks; 0 in the superblock itself
  };
  // What is known of a square before its vector is.
  struct Place {
    int x, y, size;
    uint32_t subblocks;  // those that exist, a bit each
    SearchLimits limits;
    Vector near[3];
    bool has[3];
    Vector predictor;
    int differing;  // of the left and above neighbours, those that differ from their predictor

    BSQ_DEVICE int size_class() const { return size == 4 ? 0 : size == 2 ? 1 : 2; }
    BSQ_DEVICE Vector whole(Vector v) const {
      const Vector inside = limits.clamped(v.x, v.y);
      return vector_of(4 * inside.x, 4 * inside.y);
    }
  };

  BSQ_DEVICE SearchPlaces(const SearchSources& sources, int x, int y)
      : sources_(sources), x_(x), y_(y) {}

  // The place in arrays of kAround.
  BSQ_DEVICE static int around(int x, int y) { return (y + 1) * kAroundWidth + x + 1; }
  BSQ_DEVICE bool exists(int x, int y) const {
    return x_ + x < sources_.subblocks_x() && y_ + y < sources_.subblocks_y();
  }
  BSQ_DEVICE int rate_cost(int bits) const {
    return static_cast<int>(int64_t{sources_.lambda} * bits / kOneBit);
  }

  BSQ_DEVICE Place place(const Shared& s, int x, int y, int size) const {
    Place p{};
    p.x = x;
    p.y = y;
    p.size = size;
    const int columns = least_of(size, sources_.subblocks_x() - x_ - x);
    const int rows = least_of(size, sources_.subblocks_y() - y_ - y);
    const uint32_t row = ((uint32_t{1} << columns) - 1) << (4 * y + x);
    for (int i = 0; i < rows; ++i) p.subblocks |= row << (4 * i);
    p.limits =
        SearchLimits::of(sources_.current, 0, 8 * (x_ + x), 8 * (y_ + y), 8 * columns, 8 * rows);
    take(s, p, 0, x - 1, y);
    take(s, p, 1, x, y - 1);
    take(s, p, 2, x + size, y - 1);
    if (!p.has[2]) take(s, p, 2, x - 1, y - 1);
    p.predictor = predictor(p);
    p.differing = count_near(s, x, y, [&](int i, int, int) { return s.differs[i] != 0; });
    return p;
  }

  // Of the left and above neighbours, the superblocks that are split,
  BSQ_DEVICE int near_superblock_split(const Shared& s, const Place& p) const {
    return count_near(s, p.x, p.y, [&](int i, int, int) { return s.split[i] != 0; });
  }
  // and the blocks that are; `how` is the superblock's own split so far.
  BSQ_DEVICE int near_subblock_split(const Shared& s, const Place& p, int how) const {
    return count_near(s, p.x, p.y, [&](int i, int x, int y) {
      const int block = (y >> 1 & 1) * 2 + (x >> 1 & 1);
      return ((x >= 0 && y >= 0 ? how : s.split[i]) >> (1 + block) & 1) != 0;
    });
  }

  // Gives all sub-blocks of the square this vector.
  template <class Block>
  BSQ_DEVICE void keep(Block& block, const Place& p, Vector v) const {
    const uint8_t differs = v == p.predictor ? 0 : 1;
    block.each([&](int thread, typename Block::Local&) {
      if (thread >= 16 || (p.subblocks >> thread & 1) == 0) return;
      const int subblock = around(thread % 4, thread / 4);
      block.shared().vectors[subblock] = v;
      block.shared().differs[subblock] = differs;
    });
  }

 protected:
  BSQ_DEVICE static int least_of(int a, int b) { return a < b ? a : b; }

  // Whether a sub-block next to the square (x, y) is in the tile and coded before it.
  BSQ_DEVICE bool available(const SearchTile& area, int nx, int ny, int x, int y) const {
    if (x_ + nx < 4 * area.x_begin || y_ + ny < 4 * area.y_begin) return false;
    if (x_ + nx >= 4 * area.x_end || y_ + ny >= 4 * area.y_end || !exists(nx, ny)) return false;
    for (int shift = 2; shift > 0; --shift) {
      if (ny >> shift != y >> shift) return ny < y;
      if (nx >> shift != x >> shift) return nx < x;
    }
    return ny != y ? ny < y : nx < x;
  }
  BSQ_DEVICE void take(const Shared& s, Place& p, int slot, int nx, int ny) const {
    if (!available(s.area, nx, ny, p.x, p.y)) return;
    p.near[slot] = s.vectors[around(nx, ny)];
    p.has[slot] = true;
  }

  BSQ_DEVICE static int16_t median(int16_t a, int16_t b, int16_t c) {
    const int16_t low = a < b ? a : b;
    const int16_t high = a < b ? b : a;
    return c < low ? low : c > high ? high : c;
  }
  BSQ_DEVICE static Vector predictor(const Place& p) {
    if (p.has[0] + p.has[1] + p.has[2] == 1) {
      return p.has[0] ? p.near[0] : p.has[1] ? p.near[1] : p.near[2];
    }
    return {median(p.near[0].x, p.near[1].x, p.near[2].x),
            median(p.near[0].y, p.near[1].y, p.near[2].y)};
  }

  template <class Fn>
  BSQ_DEVICE int count_near(const Shared& s, int x, int y, const Fn& fn) const {
    const bool left = x_ + x > 4 * s.area.x_begin && fn(around(x - 1, y), x - 1, y);
    const bool above = y_ + y > 4 * s.area.y_begin && fn(around(x, y - 1), x, y - 1);
    return (left ? 1 : 0) + (above ? 1 : 0);
  }

  // What a vector of the square costs, as MotionRates::vector has it.
  BSQ_DEVICE int vector_cost(const Shared& s, const Place& p, Vector v) const {
    const int32_t* same = s.area.same[p.size_class()][p.differing];
    const int dx = v.x - p.predictor.x;
    const int dy = v.y - p.predictor.y;
    if (dx == 0 && dy == 0) return rate_cost(same[1]);
    return rate_cost(same[0] + s.area.x[digits(static_cast<uint32_t>(magnitude(dx)))] +
                     s.area.y[digits(static_cast<uint32_t>(magnitude(dy)))]);
  }

  const SearchSources& sources_;
  const int x_;  // of the superblock's first sub-block in the frame
  const int y_;
};

}  // namespace bsq::cuda
