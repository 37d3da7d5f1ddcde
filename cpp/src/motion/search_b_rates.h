// Rates of the motion symbols of B frames, in tables that are fixed for a frame.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "motion/b_motion.h"
#include "motion/search_rates.h"

namespace bsq {

struct BMotionRates {
  static constexpr int kOneBit = VectorRates::kOneBit;

  using Flag = VectorRates::Flag;

  std::array<Flag, 3> split;                  // of superblocks, by the number of split neighbours
  std::array<Flag, 3> subblock_split;         // of blocks, likewise
  std::array<std::array<Flag, 3>, 3> merged;  // by size_class() and neighbours
  std::array<Flag, BPlace::kMaxCandidates - 1> candidate;
  std::array<std::array<Flag, 3>, 3> both;  // as `merged`
  std::array<Flag, 3> second;
  std::array<VectorRates, 2> vectors;  // by reference

  // Those of fresh contexts.
  BMotionRates() {
    const Flag flag{kOneBit, kOneBit};
    split.fill(flag);
    subblock_split.fill(flag);
    for (auto& by_near : merged) by_near.fill(flag);
    candidate.fill(flag);
    for (auto& by_near : both) by_near.fill(flag);
    second.fill(flag);
  }

  // Of a square that is merged with its candidate i.
  int merge(const BPlace& place, size_t i) const {
    int bits = merged[size_class(place.square)][place.near_merged][1];
    for (size_t j = 0; j + 1 < place.candidate_count; ++j) {
      bits += candidate[j][i > j ? 1 : 0];
      if (i == j) break;
    }
    return bits;
  }
  // Of the direction of a square that is not merged.
  int direction(const BPlace& place, uint8_t direction) const {
    const size_t size = size_class(place.square);
    const bool is_both = direction == kBothReferences;
    const int bits =
        merged[size][place.near_merged][0] + both[size][place.near_both][is_both ? 1 : 0];
    return is_both ? bits : bits + second[place.side][direction == kSecondReference ? 1 : 0];
  }
  // Of its vector into a reference.
  int vector(const BPlace& place, size_t reference, Mv v) const {
    const Mv predictor = place.predictor[reference];
    return vectors[reference].vector(size_class(place.square), place.near_differs[reference],
                                     v.x - predictor.x, v.y - predictor.y);
  }
};

}  // namespace bsq
