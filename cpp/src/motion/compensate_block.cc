// Motion compensation by the HEVC interpolation filters (docs/bitstream.md section 4.3).
#include "motion/compensate_block.h"

#include <algorithm>

#include "motion/interpolate.h"

namespace bsq {

namespace {

// A rectangle in samples of its plane, and its vector split into whole and fraction.
struct Block {
  int x, y, width, height;
  const int16_t* fx;
  const int16_t* fy;
};

Block block_of(const PlaneKind& kind, const LumaRect& r, Mv v) {
  if (kind.chroma) {
    return {r.x / 2 + (v.x >> 3), r.y / 2 + (v.y >> 3),   r.width / 2,
            r.height / 2,         kChromaFilter[v.x & 7], kChromaFilter[v.y & 7]};
  }
  return {r.x + (v.x >> 2), r.y + (v.y >> 2),     r.width,
          r.height,         kLumaFilter[v.x & 3], kLumaFilter[v.y & 3]};
}

// The samples that a block with kTaps filters is made from.
template <int kTaps>
struct Patch {
  static constexpr int kBefore = kTaps / 2 - 1;
  static constexpr int kMargin = kTaps - 1;
  static constexpr ptrdiff_t kStride = kSuperblockSize + kMargin;

  uint16_t samples[kStride * kStride];

  // Where the block begins.
  const uint16_t* origin() const { return samples + kBefore * kStride + kBefore; }

  static bool inside(const ConstPlaneView& ref, const Block& b) {
    return b.x >= kBefore && b.y >= kBefore && b.x + b.width + kMargin - kBefore <= ref.width &&
           b.y + b.height + kMargin - kBefore <= ref.height;
  }

  // Takes the nearest edge sample where the block leaves the plane.
  void fetch_clamped(const ConstPlaneView& ref, const Block& b) {
    uint16_t* dst = samples;
    for (int j = 0; j < b.height + kMargin; ++j, dst += kStride) {
      const uint16_t* row = ref.row(std::clamp(b.y - kBefore + j, 0, ref.height - 1));
      for (int i = 0; i < b.width + kMargin; ++i) {
        dst[i] = row[std::clamp(b.x - kBefore + i, 0, ref.width - 1)];
      }
    }
  }

  void fetch_transposed(const ConstPlaneView& ref, const Block& b) {
    for (int j = 0; j < b.height + kMargin; ++j) {
      const uint16_t* row = ref.row(b.y - kBefore + j) + b.x - kBefore;
      for (int i = 0; i < b.width + kMargin; ++i) samples[i * kStride + j] = row[i];
    }
  }

  void fetch_transposed_clamped(const ConstPlaneView& ref, const Block& b) {
    for (int j = 0; j < b.height + kMargin; ++j) {
      const uint16_t* row = ref.row(std::clamp(b.y - kBefore + j, 0, ref.height - 1));
      for (int i = 0; i < b.width + kMargin; ++i) {
        samples[i * kStride + j] = row[std::clamp(b.x - kBefore + i, 0, ref.width - 1)];
      }
    }
  }
};

template <int kTaps, typename Mid>
void compensate(const ConstPlaneView& ref, const Block& b, int max, const Destination& out) {
  if (Patch<kTaps>::inside(ref, b)) {
    interpolate_block<kTaps, Mid>(ref.row(b.y) + b.x, ref.stride, out.samples, out.stride, b.width,
                                  b.height, b.fx, b.fy, max);
    return;
  }
  Patch<kTaps> patch;
  patch.fetch_clamped(ref, b);
  interpolate_block<kTaps, Mid>(patch.origin(), Patch<kTaps>::kStride, out.samples, out.stride,
                                b.width, b.height, b.fx, b.fy, max);
}

template <int kTaps, typename Mid>
void compensate_transposed(const ConstPlaneView& ref, const Block& b, int max,
                           const Destination& out) {
  Patch<kTaps> patch;
  if (Patch<kTaps>::inside(ref, b)) {
    patch.fetch_transposed(ref, b);
  } else {
    patch.fetch_transposed_clamped(ref, b);
  }
  interpolate_block<kTaps, Mid>(patch.origin(), Patch<kTaps>::kStride, out.samples, out.stride,
                                b.height, b.width, b.fy, b.fx, max);
}

// fn<kTaps, Mid>() for the plane's filters and the sums of its depth.
template <class Fn>
void for_kind(const PlaneKind& kind, const Fn& fn) {
  if (kind.chroma) {
    kind.bit_depth == 8 ? fn.template operator()<kChromaTaps, int16_t>()
                        : fn.template operator()<kChromaTaps, int32_t>();
  } else {
    kind.bit_depth == 8 ? fn.template operator()<kLumaTaps, int16_t>()
                        : fn.template operator()<kLumaTaps, int32_t>();
  }
}

}  // namespace

void compensate_block(const ConstPlaneView& ref, const PlaneKind& kind, const LumaRect& rect, Mv v,
                      const Destination& out) {
  const Block b = block_of(kind, rect, v);
  for_kind(kind, [&]<int kTaps, typename Mid>() {
    compensate<kTaps, Mid>(ref, b, (1 << kind.bit_depth) - 1, out);
  });
}

void compensate_block_transposed(const ConstPlaneView& ref, const PlaneKind& kind,
                                 const LumaRect& rect, Mv v, const Destination& out) {
  const Block b = block_of(kind, rect, v);
  for_kind(kind, [&]<int kTaps, typename Mid>() {
    compensate_transposed<kTaps, Mid>(ref, b, (1 << kind.bit_depth) - 1, out);
  });
}

void average(const Destination& out, const uint16_t* other, ptrdiff_t stride, int width,
             int height) {
  for (int y = 0; y < height; ++y) {
    uint16_t* row = out.samples + y * out.stride;
    const uint16_t* from = other + y * stride;
    for (int x = 0; x < width; ++x) row[x] = static_cast<uint16_t>((row[x] + from[x] + 1) >> 1);
  }
}

}  // namespace bsq
