// Overlapped motion compensation in strips as long as motion stays the same along an edge.
#include "motion/overlap.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "motion/compensate_block.h"

namespace bsq {

namespace {

constexpr int kStripLines = kLumaParts.size();
constexpr int kPartShift = 5;  // parts are of 32

enum class Side { kLeft, kRight, kAbove, kBelow };

constexpr std::array<Side, 4> kSides = {Side::kLeft, Side::kRight, Side::kAbove, Side::kBelow};

bool is_vertical(Side side) { return side == Side::kLeft || side == Side::kRight; }

// Predicted samples of a strip: a row for each of its lines along the edge.
struct StripSamples {
  static constexpr ptrdiff_t kStride = kSuperblockSize;
  std::array<uint16_t, kStripLines * kStride> samples;

  Destination destination() { return {samples.data(), kStride}; }
  const uint16_t* line(size_t i) const { return samples.data() + i * size_t{kStride}; }
};

uint16_t mixed(int own, int other, int part) {
  constexpr int kWhole = 1 << kPartShift;
  return static_cast<uint16_t>((own * (kWhole - part) + other * part + kWhole / 2) >> kPartShift);
}

// The lines along one edge of a square, where the motion of the sub-block `neighbour` goes on.
class Strip {
 public:
  Strip(const ReferenceFrames& refs, const MotionField& field, size_t neighbour, Side side,
        const LumaRect& rect)
      : refs_(refs), field_(field), neighbour_(neighbour), side_(side), rect_(rect) {}

  void mix_into(Frame& out) const {
    for (int p = 0; p < out.plane_count; ++p) {
      const PlaneKind kind{out.planes[p].width() != out.planes[0].width(), out.bit_depth};
      StripSamples predicted;
      predict(static_cast<size_t>(p), kind, predicted);
      const PlaneView plane = out.planes[p].view();
      kind.chroma ? mix(plane, predicted, kChromaParts) : mix(plane, predicted, kLumaParts);
    }
  }

 private:
  void predict(size_t plane, const PlaneKind& kind, StripSamples& out) const {
    const int direction = field_.is_b() ? field_.direction[neighbour_] : kFirstReference;
    if (direction != kBothReferences) {
      predict_from(direction == kFirstReference ? 0 : 1, plane, kind, out);
      return;
    }
    StripSamples second;
    predict_from(0, plane, kind, out);
    predict_from(1, plane, kind, second);
    const int lines = kStripLines >> kind.shift();
    const int length = std::max(rect_.width, rect_.height) >> kind.shift();
    average(out.destination(), second.samples.data(), StripSamples::kStride, length, lines);
  }

  void predict_from(size_t reference, size_t plane, const PlaneKind& kind,
                    StripSamples& out) const {
    const ConstPlaneView from = refs_[reference]->planes[plane].view();
    const Mv v = field_.vectors(reference)[neighbour_];
    if (is_vertical(side_)) {
      compensate_block_transposed(from, kind, rect_, v, out.destination());
    } else {
      compensate_block(from, kind, rect_, v, out.destination());
    }
  }

  template <size_t kLines>
  void mix(const PlaneView& plane, const StripSamples& predicted,
           const std::array<int32_t, kLines>& parts) const {
    constexpr int kShift = kLines == kLumaParts.size() ? 0 : 1;
    const int length = (is_vertical(side_) ? rect_.height : rect_.width) >> kShift;
    const bool edge_first = side_ == Side::kLeft || side_ == Side::kAbove;
    uint16_t* const origin = plane.row(rect_.y >> kShift) + (rect_.x >> kShift);
    for (size_t i = 0; i < kLines; ++i) {
      const int part = parts[edge_first ? i : kLines - 1 - i];
      const uint16_t* from = predicted.line(i);
      if (is_vertical(side_)) {
        uint16_t* to = origin + i;
        for (int j = 0; j < length; ++j, to += plane.stride) *to = mixed(*to, from[j], part);
      } else {
        uint16_t* to = origin + static_cast<ptrdiff_t>(i) * plane.stride;
        for (int j = 0; j < length; ++j) to[j] = mixed(to[j], from[j], part);
      }
    }
  }

  const ReferenceFrames& refs_;
  const MotionField& field_;
  size_t neighbour_;
  Side side_;
  LumaRect rect_;
};

// A side of a square: its sub-blocks and their neighbours across the edge.
struct Edge {
  int x, y;    // the first sub-block of the square along the edge
  int nx, ny;  // its neighbour
  int count;   // of sub-blocks

  Edge(const MotionField& field, const MotionSquare& s, Side side)
      : x(s.x), y(s.y), nx(s.x), ny(s.y) {
    const int columns = std::min(s.size, field.subblocks_x - s.x);
    const int rows = std::min(s.size, field.subblocks_y - s.y);
    if (side == Side::kRight) x += columns - 1;
    if (side == Side::kBelow) y += rows - 1;
    nx = side == Side::kLeft ? x - 1 : side == Side::kRight ? x + 1 : x;
    ny = side == Side::kAbove ? y - 1 : side == Side::kBelow ? y + 1 : y;
    count = is_vertical(side) ? rows : columns;
  }
  bool in_frame(const MotionField& field) const {
    return nx >= 0 && ny >= 0 && nx < field.subblocks_x && ny < field.subblocks_y;
  }
};

// The strip of `count` sub-blocks from the i-th on.
LumaRect strip_rect(const Edge& edge, Side side, int i, int count) {
  const int x = edge.x * kSubblockSize;
  const int y = edge.y * kSubblockSize;
  const int along = i * kSubblockSize;
  const int length = count * kSubblockSize;
  constexpr int kFar = kSubblockSize - kStripLines;
  switch (side) {
    case Side::kLeft:
      return {x, y + along, kStripLines, length};
    case Side::kRight:
      return {x + kFar, y + along, kStripLines, length};
    case Side::kAbove:
      return {x + along, y, length, kStripLines};
    case Side::kBelow:
      return {x + along, y + kFar, length, kStripLines};
  }
  return {};
}

}  // namespace

void overlap_square(const ReferenceFrames& refs, const MotionField& field,
                    const MotionSquare& square, Frame& out) {
  const size_t own = field.subblock_index(square.x, square.y);
  for (const Side side : kSides) {
    const Edge edge(field, square, side);
    if (!edge.in_frame(field)) continue;
    const size_t first = field.subblock_index(edge.nx, edge.ny);
    const size_t step = is_vertical(side) ? static_cast<size_t>(field.subblocks_x) : 1;
    for (int i = 0; i < edge.count;) {
      const size_t neighbour = first + static_cast<size_t>(i) * step;
      int end = i + 1;
      while (end < edge.count &&
             field.same_prediction(first + static_cast<size_t>(end) * step, neighbour)) {
        ++end;
      }
      if (!field.same_prediction(own, neighbour)) {
        Strip(refs, field, neighbour, side, strip_rect(edge, side, i, end - i)).mix_into(out);
      }
      i = end;
    }
  }
}

}  // namespace bsq
