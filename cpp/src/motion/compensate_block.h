// The prediction of a rectangle of one plane from a displaced one of a reference.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/plane.h"
#include "motion/motion_field.h"

namespace bsq {

// A rectangle of luma samples, with even sides; of chroma the half of everything.
struct LumaRect {
  int x = 0;
  int y = 0;
  int width = 0;
  int height = 0;
};

// Where predicted samples go.
struct Destination {
  uint16_t* samples;
  ptrdiff_t stride;
};

// How a plane is predicted: as luma, or as 4:2:0 chroma, of half the size each way.
struct PlaneKind {
  bool chroma = false;
  int bit_depth = 8;

  int shift() const { return chroma ? 1 : 0; }
};

// The rectangle has at most 32x32 luma samples. Samples outside the reference are its nearest edge
// samples.
void compensate_block(const ConstPlaneView& ref, const PlaneKind& kind, const LumaRect& rect, Mv v,
                      const Destination& out);

// The same, transposed: sample (x, y) of the rectangle goes to row x, column y. Faster for narrow
// rectangles, since columns are as long as registers.
void compensate_block_transposed(const ConstPlaneView& ref, const PlaneKind& kind,
                                 const LumaRect& rect, Mv v, const Destination& out);

// The mean of two predictions, in place of the first one.
void average(const Destination& out, const uint16_t* other, ptrdiff_t stride, int width,
             int height);

}  // namespace bsq
