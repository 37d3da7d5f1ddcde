// Low-resolution analysis of the lookahead: intra and inter cost (SATD) and motion of each 16x16
// block at half size. Not normative.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/plane.h"
#include "base/thread_pool.h"
#include "codec/common/geometry.h"
#include "motion/search_frame.h"
#include "motion/search_kernels.h"

namespace bsq {

// Of a block of 16x16 luma samples. Costs are sums of absolute Hadamard coefficients.
struct BlockCost {
  static constexpr int kFirst = 1;
  static constexpr int kSecond = 2;
  static constexpr int kBoth = kFirst | kSecond;

  int32_t intra = 0;            // from what lies around it
  int32_t inter = 0;            // from the references, intra at most
  Shift from;                   // in full-size samples: where in the first reference
  Shift from_second;            // likewise in the second one
  int32_t references = kFirst;  // which of them give `inter`, or their mean
};

// Blocks in raster order.
struct FrameCosts {
  static constexpr int kBlock = 16;

  int blocks_x = 0;
  int blocks_y = 0;
  std::vector<BlockCost> blocks;

  size_t at(int x, int y) const {
    return static_cast<size_t>(y) * static_cast<size_t>(blocks_x) + static_cast<size_t>(x);
  }

  struct Totals {
    double intra = 0;
    double inter = 0;
  };
  // Over all blocks.
  Totals totals() const {
    Totals totals;
    for (const BlockCost& block : blocks) {
      totals.intra += block.intra;
      totals.inter += block.inter;
    }
    return totals;
  }
};

// A frame at half size, from all four places where its first sample may begin: so a vector may
// count full-size samples.
class LowresFrame {
 public:
  static constexpr int kPad = 28;  // samples around it; of the full size there are twice as many

  // Memory stays from one frame to the next of its size.
  void fill(const ConstPlaneView& luma, int bit_depth, ThreadPool& pool);

  const SearchFrame& full() const { return full_; }
  int width() const { return width_; }
  int height() const { return height_; }
  ptrdiff_t stride() const { return stride_; }
  // The sample (x, y) of half size, moved by `shift` samples of the full size.
  const uint8_t* at(int x, int y, Shift shift = {}) const;

 private:
  SearchFrame full_;
  int width_ = 0;
  int height_ = 0;
  ptrdiff_t stride_ = 0;
  std::vector<uint8_t> phases_[4];
};

// Measures frames, which have consecutive numbers, against one another. The result does not depend
// on the threads of the pool, which must outlive the object.
class LowresAnalysis {
 public:
  // `kept`: how many of the last frames are kept at half size, two or more.
  LowresAnalysis(const Geometry& geometry, const SearchKernels& kernels, ThreadPool& pool,
                 size_t kept)
      : geometry_(geometry), kernels_(kernels), pool_(pool), frames_(kept) {}

  // A new frame against the one before. Without that it costs as much inter as intra.
  void measure(size_t number, const Frame& source, FrameCosts& costs);

  // Whether a frame is kept; else keep() brings it back.
  bool keeps(size_t number) const { return kept(number).number == number; }
  void keep(size_t number, const Frame& source);
  // A frame against one or two references, all of them kept. `alone`: its costs from measure().
  void measure_references(size_t number, size_t first, std::optional<size_t> second,
                          const FrameCosts& alone, FrameCosts& costs);

 private:
  struct Kept {
    std::optional<size_t> number;
    LowresFrame frame;
  };

  Kept& kept(size_t number) { return frames_[number % frames_.size()]; }
  const Kept& kept(size_t number) const { return frames_[number % frames_.size()]; }
  void search(const LowresFrame& current, const LowresFrame& reference, FrameCosts& costs);

  Geometry geometry_;
  const SearchKernels& kernels_;
  ThreadPool& pool_;
  std::vector<Kept> frames_;
  FrameCosts second_;  // of the frame at work, from its second reference
};

}  // namespace bsq
