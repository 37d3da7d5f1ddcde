// Sub-sample refinement of motion vectors with the filters that compensation uses.
#include "motion/search_subpixel.h"

#include <algorithm>

#include "motion/interpolate.h"
#include "motion/search_cost.h"
#include "motion/search_pixel.h"

namespace bsq {

namespace {

constexpr int kBefore = kLumaTaps / 2 - 1;
constexpr int kMaxSample = 255;

Mv offset(Mv v, int dx, int dy) {
  return {static_cast<int16_t>(v.x + dx), static_cast<int16_t>(v.y + dy)};
}

}  // namespace

int SubPixelSearch::cost_of(const Block& block, const uint8_t* prediction, ptrdiff_t stride,
                            Mv v) const {
  const int difference = block_satd(current_.at(0, block.area.x, block.area.y), current_.stride(0),
                                    prediction, stride, block.area.width, block.area.height);
  return difference * kCostOne +
         block.lambda * vector_bits(v.x - block.predictor.x, v.y - block.predictor.y);
}

int SubPixelSearch::cost_at(const Block& block, Mv v) {
  const uint8_t* src = reference_.at(0, block.area.x + (v.x >> 2), block.area.y + (v.y >> 2));
  const ptrdiff_t stride = reference_.stride(0);
  if (((v.x | v.y) & 3) == 0) return cost_of(block, src, stride, v);
  interpolate_block<kLumaTaps, int16_t>(src, stride, across_, kStride, block.area.width,
                                        block.area.height, kLumaFilter[v.x & 3],
                                        kLumaFilter[v.y & 3], kMaxSample);
  return cost_of(block, across_, kStride, v);
}

SubPixelSearch::Found SubPixelSearch::search(const Block& block, Shift start) {
  const Mv whole{static_cast<int16_t>(4 * start.x), static_cast<int16_t>(4 * start.y)};
  Found best{whole, cost_at(block, whole)};
  search_half(block, &best);
  search_quarter(block, &best);
  return best;
}

// The eight half-sample neighbours share three interpolated pictures, one sample larger than the
// block: left and right (above and below) neighbours are the same picture one sample apart.
void SubPixelSearch::search_half(const Block& block, Found* best) {
  const Mv centre = best->mv;
  const ptrdiff_t stride = reference_.stride(0);
  const uint8_t* src = reference_.at(0, block.area.x + centre.x / 4, block.area.y + centre.y / 4);
  const int w = block.area.width;
  const int h = block.area.height;
  const int16_t* half = kLumaFilter[2];
  const uint8_t* first = src - 1 - kBefore;
  filter_rows<kLumaTaps>(first - (1 + kBefore) * stride, stride, sums_[0], kStride, w + 1,
                         h + kLumaTaps, half);
  filter_columns<kLumaTaps>(sums_[0], kStride, diagonal_, kStride, w + 1, h + 1, half,
                            2 * kFilterShift, kMaxSample);
  filter_columns<kLumaTaps>(src - (1 + kBefore) * stride, stride, down_, kStride, w, h + 1, half,
                            kFilterShift, kMaxSample);
  filter_rows_rounded<kLumaTaps>(first, stride, across_, kStride, w + 1, h, half, kMaxSample);
  for (int dy = -1; dy <= 1; ++dy) {
    for (int dx = -1; dx <= 1; ++dx) {
      if (dx == 0 && dy == 0) continue;
      const uint8_t* picture = dy == 0 ? across_ : dx == 0 ? down_ : diagonal_;
      const ptrdiff_t place = (dy > 0 ? kStride : 0) + (dx > 0 ? 1 : 0);
      const Mv v = offset(centre, 2 * dx, 2 * dy);
      const int cost = cost_of(block, picture + place, kStride, v);
      if (cost < best->cost) *best = {v, cost};
    }
  }
}

// Horizontal sums of the phase dx quarter samples from the centre, with the rows that the three
// vertical phases need.
void SubPixelSearch::filter_phase(const Block& block, Mv centre, int dx) {
  const size_t slot = static_cast<size_t>(dx + 1);
  if (filtered_[slot]) return;
  filtered_[slot] = true;
  const int x = centre.x + dx;
  const int y = (centre.y - 1) >> 2;
  const uint8_t* src =
      reference_.at(0, block.area.x + (x >> 2) - kBefore, block.area.y + y - kBefore);
  filter_rows<kLumaTaps>(src, reference_.stride(0), sums_[slot], kStride, block.area.width,
                         block.area.height + kLumaTaps, kLumaFilter[x & 3]);
}

int SubPixelSearch::quarter_cost(const Block& block, Mv centre, int dx, int dy) {
  filter_phase(block, centre, dx);
  const Mv v = offset(centre, dx, dy);
  const int row = (v.y >> 2) - ((centre.y - 1) >> 2);
  filter_columns<kLumaTaps>(sums_[dx + 1] + row * kStride, kStride, across_, kStride,
                            block.area.width, block.area.height, kLumaFilter[v.y & 3],
                            2 * kFilterShift, kMaxSample);
  return cost_of(block, across_, kStride, v);
}

// The four nearest neighbours, then the diagonal between the better ones.
void SubPixelSearch::search_quarter(const Block& block, Found* best) {
  const Mv centre = best->mv;
  std::fill_n(filtered_, 3, false);
  const auto attempt = [&](int dx, int dy) {
    const int cost = quarter_cost(block, centre, dx, dy);
    if (cost < best->cost) *best = {offset(centre, dx, dy), cost};
    return cost;
  };
  const int up = attempt(0, -1);
  const int down = attempt(0, 1);
  const int left = attempt(-1, 0);
  const int right = attempt(1, 0);
  attempt(left <= right ? -1 : 1, up <= down ? -1 : 1);
}

}  // namespace bsq
