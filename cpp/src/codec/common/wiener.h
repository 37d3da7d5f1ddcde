// The Wiener filter in the loop, after deblocking: docs/bitstream.md section 4.9.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/plane.h"
#include "base/thread_pool.h"
#include "codec/common/geometry.h"

namespace bsq {

constexpr size_t kWienerTaps = 12;  // of luma; chroma has fewer
constexpr size_t kWienerClasses = 8;
constexpr int kWienerSquare = 4;  // samples along the side of what has a class
constexpr int kWienerShift = 7;   // taps are in units of 1 / 128
constexpr int kMaxWienerTap = 127;

constexpr size_t wiener_taps(int plane) { return plane == 0 ? kWienerTaps : 6; }
constexpr size_t wiener_classes(int plane) { return plane == 0 ? kWienerClasses : 1; }

// Tap i weighs the samples at this offset and at the opposite one.
struct WienerOffset {
  int y = 0;
  int x = 0;
};
inline constexpr std::array<WienerOffset, kWienerTaps> kWienerLuma{{{0, 1},
                                                                    {0, 2},
                                                                    {0, 3},
                                                                    {1, -2},
                                                                    {1, -1},
                                                                    {1, 0},
                                                                    {1, 1},
                                                                    {1, 2},
                                                                    {2, -1},
                                                                    {2, 0},
                                                                    {2, 1},
                                                                    {3, 0}}};
inline constexpr std::array<WienerOffset, 6> kWienerChroma{
    {{0, 1}, {0, 2}, {1, -1}, {1, 0}, {1, 1}, {2, 0}}};
// Where rows and columns are exchanged, tap i has this one's offset.
inline constexpr std::array<uint8_t, kWienerTaps> kWienerTransposed{5, 9,  11, 8, 4, 0,
                                                                    6, 10, 3,  1, 7, 2};

using WienerTaps = std::array<int16_t, kWienerTaps>;

// The filters of a plane, by class.
struct WienerSet {
  std::array<WienerTaps, kWienerClasses> taps{};
};

// How a plane is filtered in a tile.
struct WienerChoice {
  bool filtered = false;
  int number = 0;  // of the set among those known; their count for a new set
  int parent = 0;  // likewise of the set that gives a new one its other classes
  std::array<uint8_t, kWienerClasses> own{};  // classes of a new set that have taps of their own
  WienerSet set;
  std::vector<uint8_t> on;  // of the superblocks of the tile
};
using WienerChoices = std::array<WienerChoice, 3>;

// The class of a square, and whether its filter is transposed.
struct WienerClass {
  uint8_t number = 0;
  bool transposed = false;
};

// Filters planes of one size.
class WienerFilter {
 public:
  explicit WienerFilter(const Geometry& geometry);

  // Copies the plane, with margins, and finds the classes of its squares.
  void prepare(int plane, const Frame& frame, ThreadPool& pool);
  // After prepare(): filters the superblocks that have a set. `sets`: by superblock, null for none.
  void run(int plane, std::span<const WienerSet* const> sets, ThreadPool& pool, Frame& frame) const;

  // A row of the copy; kMargin more samples may be read on every side.
  static constexpr int kMargin = 3;
  const int16_t* row(int plane, int y) const { return copies_[plane].row(y); }
  ptrdiff_t stride(int plane) const { return copies_[plane].stride; }
  // Of the square in this place.
  WienerClass class_at(int plane, int x, int y) const {
    return plane == 0 ? classes_[square(x, y)] : WienerClass{};
  }

 private:
  struct Copy {
    std::vector<int16_t> samples;
    ptrdiff_t stride = 0;
    int width = 0;
    int height = 0;
    const int16_t* row(int y) const { return samples.data() + (y + kMargin) * stride + kMargin; }
    int16_t* row(int y) { return samples.data() + (y + kMargin) * stride + kMargin; }
  };
  // Sums of absolute second differences of a square.
  struct Detail {
    int32_t vertical = 0;
    int32_t horizontal = 0;
  };

  size_t square(int x, int y) const {
    return static_cast<size_t>(y) * static_cast<size_t>(squares_x_) + static_cast<size_t>(x);
  }
  void measure_row(int y);
  Detail around(int x, int y) const;
  WienerClass classify(int x, int y) const;

  const int superblocks_x_;
  const int superblocks_y_;
  const int bit_depth_;
  const int squares_x_;
  const int squares_y_;
  std::array<Copy, 3> copies_;
  std::vector<Detail> details_;
  std::vector<WienerClass> classes_;
};

}  // namespace bsq
