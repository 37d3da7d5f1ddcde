// Between sample planes and the vectors of networks: docs/numerics.md sections 3 and 4.
#include "network/samples.h"

#include <algorithm>
#include <bit>
#include <string>

#include "base/quant_step.h"
#include "base/status.h"

namespace bsq {
namespace {

constexpr int kLuma = 64;
constexpr int kChroma = 16;
constexpr int kChromaSize = kTokenSize / 2;
constexpr size_t kTokensPerTask = 64;

// Step in units of the samples' own depth, Q8.
int64_t sample_step(int q, int bit_depth) { return int64_t{step_q8(q)} << (bit_depth - 8); }

// Calls fn(token index, position) for all active tokens, spread over the pool.
template <class Fn>
void for_tokens(const ActiveTokens& active, ThreadPool& pool, const Fn& fn) {
  const auto count = static_cast<size_t>(active.count());
  const auto part = [&](size_t begin, size_t end) {
    for (size_t t = begin; t < end; ++t) fn(t, active.tokens()[t]);
  };
  if (count <= kTokensPerTask) return part(0, count);
  pool.parallel_ranges(count, [&](size_t begin, size_t end, int) { part(begin, end); });
}

// Calls fn(first value of the vector, plane, first sample, samples per row) for every row of a
// token's squares.
template <class Fn>
void for_rows(TokenPosition token, int plane_count, const Fn& fn) {
  for (int y = 0; y < kTokenSize; ++y) {
    fn(y * kTokenSize, 0, token.y * kTokenSize + y, token.x * kTokenSize, kTokenSize);
  }
  for (int plane = 1; plane < plane_count; ++plane) {
    for (int y = 0; y < kChromaSize; ++y) {
      fn(kLuma + (plane - 1) * kChroma + y * kChromaSize, plane, token.y * kChromaSize + y,
         token.x * kChromaSize, kChromaSize);
    }
  }
}

// Residuals under one step: floor((difference * 2^16 + step / 2) / step). The division is a
// multiplication: with f = floor(2^k / step) + 1, floor(n / step) is n * f >> k where n * step is
// at most 2^k.
class Residual {
 public:
  Residual(int q, int bit_depth) {
    const auto step = static_cast<uint64_t>(sample_step(q, bit_depth));
    shift_ = kBits + static_cast<int>(std::bit_width(step));
    factor_ = (uint64_t{1} << shift_) / step + 1;
    raised_ = static_cast<int64_t>((uint64_t{1} << (kBits - 2)) / step + 1);
    offset_ = raised_ * static_cast<int64_t>(step) + static_cast<int64_t>(step / 2);
  }

  int16_t of(int difference) const {
    const auto scaled = static_cast<uint64_t>(difference * int64_t{65536} + offset_);
    const auto quotient = static_cast<int64_t>((scaled * factor_) >> shift_) - raised_;
    return static_cast<int16_t>(std::clamp<int64_t>(quotient, -32767, 32767));
  }

 private:
  static constexpr int kBits = 28;  // of a numerator: differences have 10 and a sign

  int shift_;
  uint64_t factor_;  // of 30 bits at most
  int64_t raised_;   // what quotients are raised by, so that there are no negative ones
  int64_t offset_;
};

uint16_t reconstructed(uint16_t prediction, int16_t output, int64_t step, int32_t largest) {
  const auto change = static_cast<int32_t>((output * step + (1 << 15)) >> 16);
  return static_cast<uint16_t>(std::clamp(prediction + change, 0, largest));
}

}  // namespace

void side_vectors(const Frame& prediction, const ActiveTokens& active, const TokenSteps& steps,
                  const LayerPlace& place, std::span<const int16_t> prediction_side,
                  ThreadPool& pool, int16_t* out) {
  const int middle = 1 << (prediction.bit_depth - 1);
  const int shift = 10 - prediction.bit_depth;
  ConstPlaneView planes[3];
  for (int i = 0; i < prediction.plane_count; ++i) planes[i] = prediction.planes[i].view();
  for_tokens(active, pool, [&](size_t t, TokenPosition token) {
    int16_t* vector = out + t * kSideVector;
    std::fill_n(vector + kLuma, kSideVector - kLuma, int16_t{0});
    for_rows(token, prediction.plane_count, [&](int first, int plane, int y, int x, int count) {
      const uint16_t* samples = planes[plane].row(y) + x;
      for (int i = 0; i < count; ++i) {
        vector[first + i] = static_cast<int16_t>((samples[i] - middle) << shift);
      }
    });
    vector[kSampleVector] = static_cast<int16_t>(steps.at(token.y, token.x) - 256);
    vector[kSampleVector + 1] = place.first_of_keyframe ? 256 : 0;
    vector[kSampleVector + 2] = place.later ? 256 : 0;
    vector[kSampleVector + 3] = static_cast<int16_t>(place.above);
    if (prediction_side.empty()) return;
    const auto at = static_cast<size_t>(token.y) * static_cast<size_t>(active.width()) +
                    static_cast<size_t>(token.x);
    std::copy_n(prediction_side.data() + at * kPredictionSide, kPredictionSide,
                vector + kSampleVector + 4);
  });
}

void residual_vectors(const Frame& source, const Frame& prediction, const ActiveTokens& active,
                      const TokenSteps& steps, ThreadPool& pool, int16_t* out) {
  ConstPlaneView from[3];
  ConstPlaneView minus[3];
  for (int i = 0; i < source.plane_count; ++i) {
    from[i] = source.planes[i].view();
    minus[i] = prediction.planes[i].view();
  }
  for_tokens(active, pool, [&](size_t t, TokenPosition token) {
    const Residual luma(steps.at(token.y, token.x), source.bit_depth);
    const Residual chroma(steps.chroma_at(token.y, token.x), source.bit_depth);
    int16_t* vector = out + t * kSampleVector;
    std::fill_n(vector + kLuma, kSampleVector - kLuma, int16_t{0});
    for_rows(token, source.plane_count, [&](int first, int plane, int y, int x, int count) {
      const uint16_t* samples = from[plane].row(y) + x;
      const uint16_t* predicted = minus[plane].row(y) + x;
      const Residual& residual = plane == 0 ? luma : chroma;
      for (int i = 0; i < count; ++i) vector[first + i] = residual.of(samples[i] - predicted[i]);
    });
  });
}

void reconstruct(const int16_t* output, const ActiveTokens& active, const TokenSteps& steps,
                 ThreadPool& pool, Frame& frame) {
  const int32_t largest = (1 << frame.bit_depth) - 1;
  PlaneView planes[3];
  for (int i = 0; i < frame.plane_count; ++i) planes[i] = frame.planes[i].view();
  for_tokens(active, pool, [&](size_t t, TokenPosition token) {
    const int64_t luma_step = sample_step(steps.at(token.y, token.x), frame.bit_depth);
    const int64_t chroma_step = sample_step(steps.chroma_at(token.y, token.x), frame.bit_depth);
    const int16_t* vector = output + t * kSampleVector;
    for_rows(token, frame.plane_count, [&](int first, int plane, int y, int x, int count) {
      uint16_t* samples = planes[plane].row(y) + x;
      const int64_t step = plane == 0 ? luma_step : chroma_step;
      for (int i = 0; i < count; ++i) {
        samples[i] = reconstructed(samples[i], vector[first + i], step, largest);
      }
    });
  });
}

void reconstruct_token(const int16_t* output, int q_luma, int q_chroma, int bit_depth,
                       uint16_t* samples) {
  const int64_t luma_step = sample_step(q_luma, bit_depth);
  const int64_t chroma_step = sample_step(q_chroma, bit_depth);
  const int32_t largest = (1 << bit_depth) - 1;
  for (int i = 0; i < kSampleVector; ++i) {
    const int64_t step = i < kLuma ? luma_step : chroma_step;
    samples[i] = reconstructed(samples[i], output[i], step, largest);
  }
}

}  // namespace bsq
