// The deblocking filter on the device: docs/bitstream.md section 4.4.
#pragma once

#include "cuda/kernels/motion.h"

namespace bsq::cuda {

constexpr int16_t kNoEdge = -1;

// q at the left and at the upper edge of every token, or kNoEdge. A thread takes one token.
struct EdgeKernel {
  static constexpr int kThreads = 128;

  Steps steps;
  bool keyframe;
  const uint8_t* coded;         // by place
  const uint8_t* sample_coded;  // likewise; null: none
  // By place: sub-blocks are tokens.
  const Vector* vectors;
  const Vector* second;      // into the second reference
  const uint8_t* direction;  // null in a P frame
  int tokens_x;
  int tokens_y;
  int16_t* left;
  int16_t* above;

  constexpr int64_t items() const { return static_cast<int64_t>(tokens_x) * tokens_y; }
  BSQ_DEVICE void item(int64_t place) const {
    const int x = static_cast<int>(place % tokens_x);
    const int y = static_cast<int>(place / tokens_x);
    left[place] = x > 0 ? edge(y, x, 0, 1) : kNoEdge;
    above[place] = y > 0 ? edge(y, x, 1, 0) : kNoEdge;
  }

 private:
  BSQ_DEVICE static bool far_apart(Vector a, Vector b) {
    return magnitude(a.x - b.x) >= 4 || magnitude(a.y - b.y) >= 4;
  }

  BSQ_DEVICE bool moved_apart(int a, int b) const {
    if (direction == nullptr) return far_apart(vectors[a], vectors[b]);
    if (direction[a] != direction[b]) return true;
    return ((direction[a] & 1) != 0 && far_apart(vectors[a], vectors[b])) ||
           ((direction[a] & 2) != 0 && far_apart(second[a], second[b]));
  }

  BSQ_DEVICE int16_t edge(int y, int x, int up, int back) const {
    const int here = y * tokens_x + x;
    const int there = here - up * tokens_x - back;
    if (sample_coded != nullptr && (sample_coded[here] != 0 || sample_coded[there] != 0)) {
      return kNoEdge;
    }
    if (!keyframe && coded[here] == 0 && coded[there] == 0 && !moved_apart(here, there)) {
      return kNoEdge;
    }
    return static_cast<int16_t>((steps.at(y, x) + steps.at(y - up, x - back) + 1) >> 1);
  }
};

// All edges of one direction: those on the left of tokens first, in a second launch those above.
// A thread takes one line across an edge: 8 of luma and 4 of each chroma plane per token.
struct DeblockKernel {
  static constexpr int kThreads = 128;

  Planes frame;
  const int16_t* edges;  // q by place
  bool vertical;
  int tokens_x;
  int tokens_y;

  constexpr int lines() const { return frame.count == 1 ? 8 : 16; }
  constexpr int64_t items() const { return static_cast<int64_t>(tokens_x) * tokens_y * lines(); }
  BSQ_DEVICE void item(int64_t i) const {
    const int64_t place = i / lines();
    if (edges[place] == kNoEdge) return;
    filter(static_cast<int>(place), static_cast<int>(i % lines()));
  }

 private:
  BSQ_DEVICE void filter(int place, int line) const {
    const int plane = line < 8 ? 0 : 1 + (line - 8) / 4;
    const int size = plane == 0 ? 8 : 4;
    const int i = plane == 0 ? line : line % 4;
    const int x = place % tokens_x * size + (vertical ? 0 : i);
    const int y = place / tokens_x * size + (vertical ? i : 0);
    uint16_t* at = &frame.at(plane, x, y);
    const int64_t across = vertical ? 1 : frame.width[plane];
    const int q = edges[place];
    const int unit = 1 << (frame.bit_depth - 8);
    if (plane == 0) {
      const int32_t t = (unit * (q - 212) + 32) >> 6;
      const int32_t wide = 3 * (q - 160);
      if (t > 0) luma(at, across, unit * ((wide > 0 ? wide : 0) >> 4), t);
    } else {
      const int32_t t = (3 * unit * (q - 180) + 64) >> 7;
      if (t > 0) chroma(at, across, t);
    }
  }

  BSQ_DEVICE void luma(uint16_t* at, int64_t across, int32_t beta, int32_t t) const {
    int32_t v[8];
    for (int i = 0; i < 8; ++i) v[i] = at[(i - 4) * across];
    const int32_t activity = magnitude(v[1] - 2 * v[2] + v[3]) + magnitude(v[4] - 2 * v[5] + v[6]);
    if (activity >= beta) return;
    const int32_t quarter = beta >> 2;
    const int32_t step = (9 * (v[4] - v[3]) - 3 * (v[5] - v[2]) + 8) >> 4;
    int32_t out[8];
    if (activity < quarter && magnitude(v[0] - v[3]) + magnitude(v[4] - v[7]) < quarter) {
      smooth(v, 2 * t, out);
    } else if (magnitude(step) < 16 * t) {
      correct(v, clamp(step, -t, t), t >> 1, out);
    } else {
      return;
    }
    for (int i = 1; i < 7; ++i) at[(i - 4) * across] = static_cast<uint16_t>(out[i]);
  }

  BSQ_DEVICE static int32_t within(int32_t value, int32_t old, int32_t most) {
    return clamp(value, old - most, old + most);
  }

  BSQ_DEVICE static void smooth(const int32_t* v, int32_t most, int32_t* out) {
    for (int side = 0; side < 2; ++side) {
      // From the edge outwards on this side, and on the other.
      const int p = side == 0 ? 3 : 4;
      const int d = side == 0 ? -1 : 1;
      const int32_t p0 = v[p], p1 = v[p + d], p2 = v[p + 2 * d], p3 = v[p + 3 * d];
      const int32_t q0 = v[p - d], q1 = v[p - 2 * d];
      out[p] = within((p2 + 2 * p1 + 2 * p0 + 2 * q0 + q1 + 4) >> 3, p0, most);
      out[p + d] = within((p2 + p1 + p0 + q0 + 2) >> 2, p1, most);
      out[p + 2 * d] = within((2 * p3 + 3 * p2 + p1 + p0 + q0 + 4) >> 3, p2, most);
    }
  }

  BSQ_DEVICE void correct(const int32_t* v, int32_t d, int32_t half, int32_t* out) const {
    const int32_t dp = clamp((((v[1] + v[3] + 1) >> 1) - v[2] + d) >> 1, -half, half);
    const int32_t dq = clamp((((v[6] + v[4] + 1) >> 1) - v[5] - d) >> 1, -half, half);
    const int32_t most = frame.largest();
    out[1] = v[1];
    out[2] = clamp(v[2] + dp, 0, most);
    out[3] = clamp(v[3] + d, 0, most);
    out[4] = clamp(v[4] - d, 0, most);
    out[5] = clamp(v[5] + dq, 0, most);
    out[6] = v[6];
  }

  BSQ_DEVICE void chroma(uint16_t* at, int64_t across, int32_t t) const {
    const int32_t p1 = at[-2 * across], p0 = at[-across], q0 = at[0], q1 = at[across];
    const int32_t step = (4 * (q0 - p0) + p1 - q1 + 4) >> 3;
    if (magnitude(step) >= 8 * t) return;
    const int32_t d = clamp(step, -t, t);
    at[-across] = static_cast<uint16_t>(clamp(p0 + d, 0, frame.largest()));
    at[0] = static_cast<uint16_t>(clamp(q0 - d, 0, frame.largest()));
  }
};

}  // namespace bsq::cuda
