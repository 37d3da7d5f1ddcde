// The frames of the motion search and the comparison of their blocks.
#include "motion/search_frame.h"

#include <algorithm>

#include "motion/motion_field.h"
#include "motion/search_pixel.h"

namespace bsq {

void SearchFrame::Level::allocate(int w, int h) {
  width = w;
  height = h;
  stride = w + 2 * kPad;
  samples.resize(static_cast<size_t>(stride) * static_cast<size_t>(h + 2 * kPad));
}

void SearchFrame::Level::replicate_edges() {
  for (int y = 0; y < height; ++y) {
    uint8_t* row = origin() + y * stride;
    std::fill_n(row - kPad, kPad, row[0]);
    std::fill_n(row + width, kPad, row[width - 1]);
  }
  const uint8_t* first = origin() - kPad;
  const uint8_t* last = first + (height - 1) * stride;
  for (int y = 1; y <= kPad; ++y) {
    std::copy_n(first, stride, samples.data() + (kPad - y) * stride);
    std::copy_n(last, stride, samples.data() + (kPad + height - 1 + y) * stride);
  }
}

void SearchFrame::fill(const ConstPlaneView& luma, int bit_depth) {
  levels_[0].allocate(luma.width, luma.height);
  const int shift = bit_depth - 8;
  const int half = shift > 0 ? 1 << (shift - 1) : 0;
  for (int y = 0; y < luma.height; ++y) {
    const uint16_t* src = luma.row(y);
    uint8_t* dst = levels_[0].origin() + y * levels_[0].stride;
    for (int x = 0; x < luma.width; ++x) {
      dst[x] = static_cast<uint8_t>(std::min((src[x] + half) >> shift, 255));
    }
  }
  levels_[0].replicate_edges();
  for (int i = 1; i < kLevels; ++i) {
    Level& from = levels_[i - 1];
    Level& to = levels_[i];
    to.allocate(from.width / 2, from.height / 2);
    halve(from.origin(), from.stride, to.origin(), to.stride, to.width, to.height);
    to.replicate_edges();
  }
}

Shift ShiftLimits::clamp(Shift v) const {
  return {std::clamp(v.x, x_min, x_max), std::clamp(v.y, y_min, y_max)};
}

SearchArea SearchPair::area(int x, int y, int size) const {
  return {x, y, std::min(size, current.width(0) - x), std::min(size, current.height(0) - y)};
}

ShiftLimits SearchPair::limits(const SearchArea& a, int level) const {
  const int reach = kSearchReach >> level;
  const int x = a.x >> level;
  const int y = a.y >> level;
  // One sample less than vectors can express leaves room for the fraction.
  const int lowest = (kMvMin / 4 + 1) >> level;
  const int highest = (kMvMax / 4 - 1) >> level;
  return {std::max(lowest, -x - reach),
          std::min(highest, current.width(level) - x - (a.width >> level) + reach),
          std::max(lowest, -y - reach),
          std::min(highest, current.height(level) - y - (a.height >> level) + reach)};
}

int SearchPair::sad(int level, const SearchArea& a, Shift v) const {
  const int x = a.x >> level;
  const int y = a.y >> level;
  return block_sad(current.at(level, x, y), current.stride(level),
                   reference.at(level, x + v.x, y + v.y), reference.stride(level), a.width >> level,
                   a.height >> level);
}

bool SearchPair::is_static(const SearchArea& a) const {
  for (int y = 0; y < a.height; y += 8) {
    for (int x = 0; x < a.width; x += 8) {
      if (sad(0, {a.x + x, a.y + y, 8, 8}, Shift{}) >= 64 * kStaticPerSample) return false;
    }
  }
  return true;
}

}  // namespace bsq
