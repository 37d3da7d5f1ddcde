// The Wiener filter: superblocks in rows, samples of a row side by side.
#include "codec/common/wiener.h"

#include <algorithm>
#include <cstdlib>

#include "base/tokens.h"

namespace bsq {
namespace {

constexpr int kChunk = 32;  // columns that are measured at a time
// Mean second differences, times 512, from which on a square is in the next class.
constexpr std::array<int32_t, 3> kActivity{512, 1280, 3072};

// What a tap adds to the sums of a row.
void add_tap(const int16_t* at, ptrdiff_t offset, const int16_t* taps, int count,
             int32_t* __restrict sums) {
  const int16_t* before = at - offset;
  const int16_t* after = at + offset;
  for (int x = 0; x < count; ++x) {
    const auto difference = static_cast<int16_t>(before[x] + after[x] - 2 * at[x]);
    sums[x] += int32_t{taps[x]} * difference;
  }
}

// One superblock, or what of it lies in the plane.
template <size_t kTaps, int kSide>
class SuperblockFilter {
 public:
  SuperblockFilter(const WienerFilter& filter, int plane, const WienerSet& set, int bit_depth)
      : filter_(filter), plane_(plane), set_(set), largest_((1 << bit_depth) - 1) {
    for (size_t i = 0; i < kTaps; ++i) {
      const WienerOffset at = kTaps == kWienerTaps ? kWienerLuma[i] : kWienerChroma[i];
      offsets_[i] = at.y * filter.stride(plane) + at.x;
    }
  }

  void run(const PlaneView& plane, int x, int y) {
    const int width = std::min(kSide, plane.width - x);
    const int end = std::min(y + kSide, plane.height);
    for (; y < end; y += kWienerSquare) {
      spread_taps(x / kWienerSquare, y / kWienerSquare, width / kWienerSquare);
      for (int row = y; row < y + kWienerSquare; ++row) {
        filter_row(filter_.row(plane_, row) + x, width);
        std::copy_n(out_.data(), width, plane.row(row) + x);
      }
    }
  }

 private:
  // The taps of every column in a row of squares.
  void spread_taps(int x, int y, int squares) {
    for (int s = 0; s < squares; ++s) {
      const WienerClass found = filter_.class_at(plane_, x + s, y);
      const WienerTaps& taps = set_.taps[found.number];
      for (size_t i = 0; i < kTaps; ++i) {
        const int16_t tap = taps[found.transposed ? kWienerTransposed[i] : i];
        std::fill_n(taps_[i].begin() + s * kWienerSquare, kWienerSquare, tap);
      }
    }
  }

  void filter_row(const int16_t* at, int width) {
    std::array<int32_t, kSide> sums;
    sums.fill(1 << (kWienerShift - 1));
    for (size_t i = 0; i < kTaps; ++i) {
      add_tap(at, offsets_[i], taps_[i].data(), width, sums.data());
    }
    for (int x = 0; x < width; ++x) {
      const int32_t value = at[x] + (sums[static_cast<size_t>(x)] >> kWienerShift);
      out_[static_cast<size_t>(x)] = static_cast<uint16_t>(std::clamp(value, 0, largest_));
    }
  }

  const WienerFilter& filter_;
  const int plane_;
  const WienerSet& set_;
  const int32_t largest_;
  std::array<ptrdiff_t, kTaps> offsets_{};
  std::array<std::array<int16_t, kSide>, kTaps> taps_{};
  std::array<uint16_t, kSide> out_{};
};

}  // namespace

WienerFilter::WienerFilter(const Geometry& g)
    : superblocks_x_(g.superblocks_x),
      superblocks_y_(g.superblocks_y),
      bit_depth_(g.bit_depth),
      squares_x_(g.coded_width() / kWienerSquare),
      squares_y_(g.coded_height() / kWienerSquare) {
  for (int p = 0; p < g.plane_count; ++p) {
    Copy& copy = copies_[static_cast<size_t>(p)];
    copy.width = g.coded_width() / (p == 0 ? 1 : 2);
    copy.height = g.coded_height() / (p == 0 ? 1 : 2);
    copy.stride = copy.width + 2 * kMargin + kChunk;
    copy.samples.resize(static_cast<size_t>(copy.stride * (copy.height + 2 * kMargin)));
  }
  details_.resize(static_cast<size_t>(squares_x_) * static_cast<size_t>(squares_y_));
  classes_.resize(details_.size());
}

void WienerFilter::prepare(int plane, const Frame& frame, ThreadPool& pool) {
  Copy& copy = copies_[static_cast<size_t>(plane)];
  const ConstPlaneView from = frame.planes[plane].view();
  pool.parallel_rows(static_cast<size_t>(copy.height + 2 * kMargin), [&](size_t number) {
    const int y = static_cast<int>(number) - kMargin;
    const uint16_t* samples = from.row(std::clamp(y, 0, copy.height - 1));
    int16_t* to = copy.row(y);
    for (int x = 0; x < copy.width; ++x) to[x] = static_cast<int16_t>(samples[x]);
    std::fill_n(to - kMargin, kMargin, to[0]);
    std::fill_n(to + copy.width, kMargin, to[copy.width - 1]);
  });
  if (plane != 0) return;
  const auto rows = static_cast<size_t>(squares_y_);
  pool.parallel_rows(rows, [&](size_t y) { measure_row(static_cast<int>(y)); });
  pool.parallel_rows(rows, [&](size_t row) {
    const int y = static_cast<int>(row);
    for (int x = 0; x < squares_x_; ++x) classes_[square(x, y)] = classify(x, y);
  });
}

// The details of a row of squares.
void WienerFilter::measure_row(int y) {
  const ptrdiff_t stride = copies_[0].stride;
  for (int begin = 0; begin < copies_[0].width; begin += kChunk) {
    std::array<int16_t, kChunk> vertical{};
    std::array<int16_t, kChunk> horizontal{};
    for (int row = 0; row < kWienerSquare; ++row) {
      const int16_t* at = copies_[0].row(y * kWienerSquare + row) + begin;
      for (int i = 0; i < kChunk; ++i) {
        const auto v = static_cast<int16_t>(2 * at[i] - at[i - stride] - at[i + stride]);
        const auto h = static_cast<int16_t>(2 * at[i] - at[i - 1] - at[i + 1]);
        const auto column = static_cast<size_t>(i);
        vertical[column] = static_cast<int16_t>(vertical[column] + std::abs(v));
        horizontal[column] = static_cast<int16_t>(horizontal[column] + std::abs(h));
      }
    }
    const int end = std::min(begin + kChunk, copies_[0].width);
    for (int x = begin; x < end; x += kWienerSquare) {
      Detail& detail = details_[square(x / kWienerSquare, y)];
      detail = {};
      for (int i = x - begin; i < x - begin + kWienerSquare; ++i) {
        detail.vertical += vertical[static_cast<size_t>(i)];
        detail.horizontal += horizontal[static_cast<size_t>(i)];
      }
    }
  }
}

// The details of the square and of those around it, weighted 1 2 1.
WienerFilter::Detail WienerFilter::around(int x, int y) const {
  Detail sum;
  for (int j = -1; j <= 1; ++j) {
    for (int i = -1; i <= 1; ++i) {
      const Detail& near = details_[square(std::clamp(x + i, 0, squares_x_ - 1),
                                           std::clamp(y + j, 0, squares_y_ - 1))];
      const int weight = (i == 0 ? 2 : 1) * (j == 0 ? 2 : 1);
      sum.vertical += weight * near.vertical;
      sum.horizontal += weight * near.horizontal;
    }
  }
  return sum;
}

WienerClass WienerFilter::classify(int x, int y) const {
  const Detail detail = around(x, y);
  const int32_t activity = (detail.vertical + detail.horizontal) >> (bit_depth_ - 8);
  int level = 0;
  for (const int32_t limit : kActivity) level += activity >= limit ? 1 : 0;
  const auto [less, more] = std::minmax(detail.vertical, detail.horizontal);
  const bool directed = more > 2 * less;
  return {static_cast<uint8_t>(2 * level + (directed ? 1 : 0)),
          directed && detail.horizontal > detail.vertical};
}

void WienerFilter::run(int plane, std::span<const WienerSet* const> sets, ThreadPool& pool,
                       Frame& frame) const {
  const PlaneView samples = frame.planes[plane].view();
  pool.parallel_rows(static_cast<size_t>(superblocks_y_), [&](size_t row) {
    const int y = static_cast<int>(row);
    for (int x = 0; x < superblocks_x_; ++x) {
      const WienerSet* set =
          sets[row * static_cast<size_t>(superblocks_x_) + static_cast<size_t>(x)];
      if (set == nullptr) continue;
      if (plane == 0) {
        constexpr int kSide = kSuperblockSize;
        SuperblockFilter<wiener_taps(0), kSide>(*this, plane, *set, bit_depth_)
            .run(samples, x * kSide, y * kSide);
      } else {
        constexpr int kSide = kSuperblockSize / 2;
        SuperblockFilter<wiener_taps(1), kSide>(*this, plane, *set, bit_depth_)
            .run(samples, x * kSide, y * kSide);
      }
    }
  });
}

}  // namespace bsq
