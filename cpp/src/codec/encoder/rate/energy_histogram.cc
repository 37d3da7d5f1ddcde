// Sums of squares by token, counted by size.
#include "codec/encoder/rate/energy_histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "codec/encoder/mode/token_samples.h"
#include "network/token_field.h"

namespace bsq {
namespace {

int energy_bin(uint64_t sum) {
  const int octave = static_cast<int>(std::bit_width(sum)) - 1;
  // sum / 2^octave is at least the root of two where its square is at least two. Sums stay below
  // 2^24: 96 samples of 8 bits.
  const bool upper = sum * sum >= uint64_t{2} << (2 * octave);
  return std::min(2 * octave + (upper ? 1 : 0), EnergyHistogram::kBins - 1);
}

// Squares around the mean of samples [0, count).
int64_t spread(const uint16_t* samples, int count) {
  int64_t sum = 0;
  int64_t squares = 0;
  for (int i = 0; i < count; ++i) {
    sum += samples[i];
    squares += int64_t{samples[i]} * samples[i];
  }
  return squares - sum * sum / count;
}

int64_t intra_energy(const TokenSamples& samples) {
  return spread(samples.data(), 64) + spread(samples.data() + 64, 16) +
         spread(samples.data() + 80, 16);
}

}  // namespace

double EnergyHistogram::share_above(double energy) const {
  int64_t above = 0;
  for (size_t b = 0; b < counts.size(); ++b) {
    if (std::exp2(static_cast<double>(b) / 2.0) > energy * kSampleVector) above += counts[b];
  }
  return tokens > 0 ? static_cast<double>(above) / static_cast<double>(tokens) : 0;
}

// energy(x, y) of every token, counted; the rows by themselves, so that the threads do not matter.
template <class Energy>
EnergyHistogram EnergyCounter::count(const Frame& source, ThreadPool& pool, const Energy& energy) {
  const int width = source.planes[0].view().width / kTokenSize;
  const auto rows = static_cast<size_t>(source.planes[0].view().height / kTokenSize);
  const int shift = 2 * (source.bit_depth - 8);
  rows_.assign(rows, EnergyHistogram());
  pool.parallel_rows(rows, [&](size_t row) {
    for (int x = 0; x < width; ++x) {
      const int64_t sum = energy(x, static_cast<int>(row)) >> shift;
      if (sum > 0) ++rows_[row].counts[static_cast<size_t>(energy_bin(static_cast<uint64_t>(sum)))];
    }
  });
  EnergyHistogram all;
  all.tokens = static_cast<int64_t>(rows) * width;
  for (const EnergyHistogram& part : rows_) {
    for (size_t b = 0; b < part.counts.size(); ++b) all.counts[b] += part.counts[b];
  }
  return all;
}

EnergyHistogram EnergyCounter::predicted(const Frame& source, const Frame& prediction,
                                         ThreadPool& pool) {
  return count(source, pool, [&](int x, int y) {
    return squared_error(token_samples(source, y, x), token_samples(prediction, y, x)).all();
  });
}

EnergyHistogram EnergyCounter::intra(const Frame& source, ThreadPool& pool) {
  return count(source, pool,
               [&](int x, int y) { return intra_energy(token_samples(source, y, x)); });
}

}  // namespace bsq
