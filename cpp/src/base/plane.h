// Views of sample planes: every plane inside the library holds 16-bit samples, whatever the depth.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace bsq {

// Non-owning view. `stride` is in samples. A plane never has zero width or height.
struct PlaneView {
  uint16_t* data = nullptr;
  ptrdiff_t stride = 0;
  int width = 0;
  int height = 0;

  uint16_t* row(int y) const { return data + y * stride; }
};

struct ConstPlaneView {
  const uint16_t* data = nullptr;
  ptrdiff_t stride = 0;
  int width = 0;
  int height = 0;

  ConstPlaneView() = default;
  ConstPlaneView(const uint16_t* d, ptrdiff_t s, int w, int h)
      : data(d), stride(s), width(w), height(h) {}
  ConstPlaneView(const PlaneView& p)  // NOLINT(google-explicit-constructor): a view of a view
      : data(p.data), stride(p.stride), width(p.width), height(p.height) {}

  const uint16_t* row(int y) const { return data + y * stride; }
};

// An owning plane.
class Plane {
 public:
  Plane() = default;
  Plane(int width, int height)
      : width_(width),
        height_(height),
        samples_(static_cast<size_t>(width) * static_cast<size_t>(height)) {}

  int width() const { return width_; }
  int height() const { return height_; }
  bool empty() const { return samples_.empty(); }
  PlaneView view() { return {samples_.data(), width_, width_, height_}; }
  ConstPlaneView view() const { return {samples_.data(), width_, width_, height_}; }

 private:
  int width_ = 0;
  int height_ = 0;
  std::vector<uint16_t> samples_;
};

// A frame padded to whole tokens (8x8 luma samples). Gray frames carry one plane.
struct Frame {
  int bit_depth = 8;
  int plane_count = 0;
  Plane planes[3];
};

}  // namespace bsq
