// What a frame is like for the rate control: the energies of its tokens before they are coded.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/plane.h"
#include "base/thread_pool.h"

namespace bsq {

// Counts of tokens by the sum of squares of their samples' differences, in half octaves: bin b
// holds sums from 2^(b/2) up to 2^((b+1)/2), in 8-bit sample values. Tokens without any are not
// counted.
struct EnergyHistogram {
  static constexpr int kBins = 48;

  std::array<int64_t, kBins> counts{};
  int64_t tokens = 0;  // all of them

  // The share of tokens with a mean square above `energy`, to half an octave.
  double share_above(double energy) const;
};

// Counts energies; keeps its memory from frame to frame.
class EnergyCounter {
 public:
  // Of what the prediction misses.
  EnergyHistogram predicted(const Frame& source, const Frame& prediction, ThreadPool& pool);
  // Of what is around the mean of every token, plane by plane: there is no prediction.
  EnergyHistogram intra(const Frame& source, ThreadPool& pool);

 private:
  template <class Energy>
  EnergyHistogram count(const Frame& source, ThreadPool& pool, const Energy& energy);

  std::vector<EnergyHistogram> rows_;  // by row of tokens
};

}  // namespace bsq
