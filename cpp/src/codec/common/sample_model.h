// How samples that are coded themselves are predicted from those around them (normative,
// docs/bitstream.md section 3.7): hashes of the neighbours lead to what followed the same ones
// before.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "entropy/mixed_bit.h"

namespace bsq {

// Samples around one: W is on its left, N above it, and so on.
struct SampleNeighbours {
  static constexpr int kLuma = 4;
  uint16_t w, n, ne, nw, ww, nn, nne, nww, nee, www, nnw;
  std::array<uint16_t, kLuma> luma;  // of a chroma sample, those at its place
  uint16_t chroma;                   // of a sample of the second chroma plane, that of the first
};

// What was seen after a hash: the check of that hash, a value, and how often it was right.
class SampleMatch {
 public:
  static constexpr unsigned kMostCount = 63;

  // 0 if nothing was seen.
  unsigned count(uint32_t hash) const { return check_ == check_of(hash) ? count_ : 0U; }
  uint16_t value() const { return value_; }

  void update(uint32_t hash, uint16_t value) {
    if (count(hash) == 0) {
      check_ = check_of(hash);
      value_ = value;
      count_ = 1;
    } else if (value_ == value) {
      if (count_ < kMostCount) ++count_;
    } else if (count_ > 1) {
      count_ /= 2;
    } else {
      value_ = value;
    }
  }

 private:
  static uint16_t check_of(uint32_t hash) { return static_cast<uint16_t>(hash); }

  uint16_t check_ = 0;
  uint16_t value_ = 0;
  uint8_t count_ = 0;
};

// One sample about to be coded: the values that it may have, the likeliest first, and what their
// contexts depend on.
struct SampleGuess {
  static constexpr size_t kMatches = 3;  // by the long hash, the middle one, the short one
  static constexpr size_t kSources = 8;  // those, W, N, NW, NE, the prediction
  static constexpr size_t kPrediction = 7;

  size_t count = 0;
  std::array<uint16_t, kSources> values;
  std::array<uint8_t, kSources> sources;
  std::array<uint32_t, kMatches> hashes;
  size_t place = 0;  // of the counts of matches, and which agree
  size_t shape = 0;  // of the differences between neighbours, and of the prediction
  uint16_t w = 0;
  uint16_t n = 0;
  size_t chroma = 0;  // 1 in chroma

  void add(uint16_t value, size_t source) {
    for (size_t i = 0; i < count; ++i) {
      if (values[i] == value) return;
    }
    values[count] = value;
    sources[count++] = static_cast<uint8_t>(source);
  }
};

// What a tile has learned of its samples.
class SampleModel {
 public:
  // The prediction of the sample at hand: there is none in keyframes.
  struct Prediction {
    bool there = false;
    uint16_t value = 0;
    bool right_w = false;  // whether it was the sample on the left, and above
    bool right_n = false;
  };

  SampleModel() {
    matches_[0].resize(size_t{1} << kMatchBits[0]);
    matches_[1].resize(size_t{1} << kMatchBits[1]);
    matches_[2].resize(size_t{1} << kMatchBits[2]);
  }

  SampleGuess guess(size_t plane, const SampleNeighbours& at, const Prediction& prediction) const {
    SampleGuess guess;
    guess.hashes = hashes(plane, at);
    guess.w = at.w;
    guess.n = at.n;
    guess.chroma = plane > 0 ? 1 : 0;
    const bool first = prediction.there && prediction.right_w && prediction.right_n;
    if (first) guess.add(prediction.value, SampleGuess::kPrediction);
    std::array<unsigned, SampleGuess::kMatches> counts;
    std::array<uint16_t, SampleGuess::kMatches> found;
    for (size_t i = 0; i < SampleGuess::kMatches; ++i) {
      const SampleMatch& match = match_of(i, guess.hashes[i]);
      counts[i] = std::min(match.count(guess.hashes[i]), 3U);
      found[i] = match.value();
      if (counts[i] > 0) guess.add(found[i], i);
    }
    const std::array<uint16_t, 4> near{at.w, at.n, at.nw, at.ne};
    for (size_t i = 0; i < near.size(); ++i) guess.add(near[i], SampleGuess::kMatches + i);
    if (prediction.there && !first) guess.add(prediction.value, SampleGuess::kPrediction);
    const size_t agree = (counts[0] > 0 && counts[1] > 0 && found[0] == found[1] ? 1U : 0U) +
                         (counts[1] > 0 && counts[2] > 0 && found[1] == found[2] ? 2U : 0U);
    guess.place = ((counts[0] * 4 + counts[1]) * 4 + counts[2]) * 4 + agree;
    guess.shape = shape(at, prediction);
    return guess;
  }

  // Whether the sample is the candidate of that number, after those before it were not.
  auto candidate(const SampleGuess& guess, size_t i) {
    const size_t kind =
        (guess.chroma * SampleGuess::kSources + i) * SampleGuess::kSources + guess.sources[i];
    return candidates_.bit(kind, {kind * kPlaces + guess.place, kind * kShapes + guess.shape,
                                  kind * kNear + guess.hashes[2] % kNear});
  }
  // The next bit of a sample that no candidate is. `node`: 1 and the bits so far; `level`: how many
  // those are.
  auto literal(const SampleGuess& guess, uint32_t node, size_t level) {
    const uint32_t own = static_cast<uint32_t>(guess.chroma) * kValues + node;
    return literals_.bit(
        guess.chroma * kDepth + level,
        {own, mixed(own, guess.n), mixed(own, guess.w + kValues), mixed(own, guess.hashes[2])});
  }
  void update(const SampleGuess& guess, uint16_t value) {
    for (size_t i = 0; i < SampleGuess::kMatches; ++i) {
      match_of(i, guess.hashes[i]).update(guess.hashes[i], value);
    }
  }

 private:
  static constexpr std::array<int, SampleGuess::kMatches> kMatchBits{17, 16, 14};
  static constexpr size_t kKinds = 2 * SampleGuess::kSources * SampleGuess::kSources;
  static constexpr size_t kPlaces = 256;
  static constexpr size_t kShapes = 256;
  static constexpr size_t kNear = 256;
  static constexpr uint32_t kSpread = 0x9E3779B1;
  static constexpr size_t kDepth = 10;
  static constexpr uint32_t kValues = 1 << kDepth;
  static constexpr int kMixedBits = 14;

  static uint32_t step(uint32_t hash, uint32_t value) {
    hash = (hash ^ value) * 0x85EBCA6BU;
    return hash ^ hash >> 13;
  }
  static size_t mixed(uint32_t a, uint32_t b) {
    return step(step(0, a), b) * kSpread >> (32 - kMixedBits);
  }
  // Of the long run of neighbours, the middle one, the short one.
  static std::array<uint32_t, SampleGuess::kMatches> hashes(size_t plane,
                                                            const SampleNeighbours& at) {
    uint32_t hash = step(0, static_cast<uint32_t>(plane) + 1);
    if (plane > 0) {
      for (const uint16_t luma : at.luma) hash = step(hash, luma);
      if (plane > 1) hash = step(hash, at.chroma);
    }
    hash = step(step(step(hash, at.w), at.n), at.ne);
    const uint32_t near = hash;
    hash = step(step(step(hash, at.nw), at.ww), at.nn);
    const uint32_t middle = hash;
    hash = step(step(step(step(step(hash, at.nne), at.nww), at.nee), at.www), at.nnw);
    return {hash, middle, near};
  }
  static size_t shape(const SampleNeighbours& at, const Prediction& prediction) {
    const auto apart = [](int a, int b) { return a < b ? b - a : a - b; };
    const auto most = static_cast<unsigned>(std::max(apart(at.w, at.nw), apart(at.n, at.nw)));
    const size_t size = std::min(static_cast<size_t>(std::bit_width(most + 1)) - 1, size_t{7});
    const size_t flat =
        (at.w == at.n ? 1U : 0U) + (at.n == at.nw ? 2U : 0U) + (at.n == at.ne ? 4U : 0U);
    const size_t right =
        prediction.there ? (prediction.right_w ? 2U : 0U) + (prediction.right_n ? 1U : 0U) : 0U;
    return (flat * 8 + size) * 4 + right;
  }
  SampleMatch& match_of(size_t i, uint32_t hash) {
    return matches_[i][hash >> (32 - kMatchBits[i])];
  }
  const SampleMatch& match_of(size_t i, uint32_t hash) const {
    return matches_[i][hash >> (32 - kMatchBits[i])];
  }

  std::array<std::vector<SampleMatch>, SampleGuess::kMatches> matches_;
  MixedContexts<kKinds, kKinds * kPlaces, kKinds * kShapes, kKinds * kNear> candidates_;
  MixedContexts<2 * kDepth, 2 * kValues, 1 << kMixedBits, 1 << kMixedBits, 1 << kMixedBits>
      literals_;
};

}  // namespace bsq
