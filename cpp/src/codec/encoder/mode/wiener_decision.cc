// Decisions on Wiener filters.
#include "codec/encoder/mode/wiener_decision.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <utility>

#include "base/quant_step.h"
#include "base/tokens.h"
#include "codec/encoder/mode/decisions.h"

namespace bsq {
namespace {

// Estimates, in bits: of a superblock's flag, of a class's flag, of a tap.
constexpr double kOnBits = 0.3;
constexpr double kOffBits = 1.5;
constexpr double kOwnBits = 1.0;
constexpr double kSetBits = 2.0;
// Rounds in which superblocks and the filters made from them are chosen in turn.
constexpr int kRounds = 3;
constexpr double kUnit = 1 << kWienerShift;

double tap_bits(int tap) {
  return tap == 0 ? 1.2 : 1.0 + 2 * std::bit_width(static_cast<unsigned>(std::abs(tap)));
}

double bits_of(const WienerTaps& taps, size_t count) {
  return std::accumulate(taps.begin(), taps.begin() + static_cast<ptrdiff_t>(count), 0.0,
                         [](double sum, int16_t tap) { return sum + tap_bits(tap); });
}

// Samples of one class: the differences that the taps weigh, and the errors. A multiple of 16 of
// them, so that the compiler takes whole vectors.
struct Samples {
  static constexpr size_t kMost = 128;

  size_t size = 0;
  std::array<std::array<int16_t, kMost>, kWienerTaps> differences;
  std::array<int16_t, kMost> errors;
};

// 2^9 times the square of the largest difference, of 10 bits, fits 32 bits.
int32_t dot(const int16_t* a, const int16_t* b, size_t size) {
  int32_t sum = 0;
  for (size_t i = 0; i < size; ++i) sum += int32_t{a[i]} * b[i];
  return sum;
}

// Adds the samples, and empties them.
void take_samples(Samples& samples, size_t count, WienerStatistics& to) {
  const size_t size = samples.size;
  for (size_t i = 0; i < count; ++i) {
    const int16_t* own = samples.differences[i].data();
    for (size_t j = 0; j <= i; ++j) {
      to.products[i][j] += static_cast<float>(dot(own, samples.differences[j].data(), size));
    }
    to.errors[i] += static_cast<float>(dot(own, samples.errors.data(), size));
  }
  samples.size = 0;
}

// Measures a plane: rows of a superblock first, which are then dealt out to the squares' classes.
class SquareReader {
 public:
  SquareReader(int plane, const Frame& source, const WienerFilter& decoded)
      : plane_(plane), source_(source.planes[plane].view()), decoded_(decoded) {
    for (size_t i = 0; i < wiener_taps(plane); ++i) {
      const WienerOffset at = plane == 0 ? kWienerLuma[i] : kWienerChroma[i];
      offsets_[i] = at.y * decoded.stride(plane) + at.x;
    }
  }

  // A row of squares, with its upper left sample there.
  void read(int x, int y, int width) {
    for (int row = 0; row < kWienerSquare; ++row) {
      const int16_t* at = decoded_.row(plane_, y + row) + x;
      const uint16_t* wanted = source_.row(y + row) + x;
      Line& line = lines_[static_cast<size_t>(row)];
      int16_t* errors = line[kWienerTaps].data();
      for (int n = 0; n < width; ++n) errors[n] = static_cast<int16_t>(wanted[n] - at[n]);
      for (size_t i = 0; i < wiener_taps(plane_); ++i) {
        differ(at, offsets_[i], width, line[i].data());
      }
    }
  }

  // Adds the samples of a square of the row. `transposed`: of its class.
  void add_to(Samples& to, int square, bool transposed) const {
    const ptrdiff_t left = ptrdiff_t{square} * kWienerSquare;
    for (const Line& line : lines_) {
      const auto copy = [&](size_t i, int16_t* out) {
        std::copy_n(line[i].begin() + left, kWienerSquare, out + to.size);
      };
      copy(kWienerTaps, to.errors.data());
      for (size_t i = 0; i < wiener_taps(plane_); ++i) {
        copy(i, to.differences[transposed ? kWienerTransposed[i] : i].data());
      }
      to.size += kWienerSquare;
    }
  }

 private:
  // By tap, and the errors.
  using Line = std::array<std::array<int16_t, kSuperblockSize>, kWienerTaps + 1>;

  static void differ(const int16_t* at, ptrdiff_t offset, int width, int16_t* __restrict out) {
    const int16_t* before = at - offset;
    const int16_t* after = at + offset;
    for (int n = 0; n < width; ++n) {
      out[n] = static_cast<int16_t>(before[n] + after[n] - 2 * at[n]);
    }
  }

  const int plane_;
  const ConstPlaneView source_;
  const WienerFilter& decoded_;
  std::array<ptrdiff_t, kWienerTaps> offsets_{};
  std::array<Line, kWienerSquare> lines_{};
};

// Solves products * taps = errors by elimination; a little more on the diagonal keeps it regular.
std::array<double, kWienerTaps> solve(const WienerStatistics& s, size_t count) {
  std::array<std::array<double, kWienerTaps + 1>, kWienerTaps> m{};
  double trace = 0;
  for (size_t i = 0; i < count; ++i) trace += s.products[i][i];
  for (size_t i = 0; i < count; ++i) {
    for (size_t j = 0; j < count; ++j) m[i][j] = s.products[std::max(i, j)][std::min(i, j)];
    m[i][i] += 1 + 1e-4 * trace / static_cast<double>(count);
    m[i][count] = s.errors[i];
  }
  for (size_t i = 0; i < count; ++i) {
    for (size_t k = i + 1; k < count; ++k) {
      const double factor = m[k][i] / m[i][i];
      for (size_t j = i; j <= count; ++j) m[k][j] -= factor * m[i][j];
    }
  }
  std::array<double, kWienerTaps> taps{};
  for (size_t i = count; i-- > 0;) {
    double value = m[i][count];
    for (size_t j = i + 1; j < count; ++j) value -= m[i][j] * taps[j];
    taps[i] = value / m[i][i];
  }
  return taps;
}

// Integer taps of low RD cost: those of least squares, each then moved while that lowers the cost.
WienerTaps make_taps(const WienerStatistics& s, size_t count, double lambda) {
  const std::array<double, kWienerTaps> exact = solve(s, count);
  WienerTaps taps{};
  for (size_t i = 0; i < count; ++i) {
    taps[i] = static_cast<int16_t>(
        std::lround(std::clamp<double>(kUnit * exact[i], -kMaxWienerTap, kMaxWienerTap)));
  }
  const auto cost = [&](const WienerTaps& t) {
    return s.change(t, count) + lambda * bits_of(t, count);
  };
  double best = cost(taps);
  bool moved = true;
  for (int round = 0; round < kRounds && moved; ++round) {
    moved = false;
    for (size_t i = 0; i < count; ++i) {
      const int tap = taps[i];
      for (const int value : {0, tap - 1, tap + 1, tap / 2}) {
        WienerTaps other = taps;
        other[i] = static_cast<int16_t>(std::clamp(value, -kMaxWienerTap, kMaxWienerTap));
        const double changed = cost(other);
        if (changed >= best) continue;
        best = changed;
        taps = other;
        moved = true;
      }
    }
  }
  return taps;
}

}  // namespace

void WienerStatistics::add(const WienerStatistics& other) {
  for (size_t i = 0; i < kWienerTaps; ++i) {
    for (size_t j = 0; j <= i; ++j) products[i][j] += other.products[i][j];
    errors[i] += other.errors[i];
  }
}

double WienerStatistics::change(const WienerTaps& taps, size_t count) const {
  double sum = 0;
  for (size_t i = 0; i < count; ++i) {
    if (taps[i] == 0) continue;
    double row = products[i][i] * taps[i] / 2;
    for (size_t j = 0; j < i; ++j) row += products[i][j] * taps[j];
    sum += taps[i] * (row / kUnit - errors[i]);
  }
  return 2 * sum / kUnit;
}

void WienerDecision::measure(const Frame& source, const WienerFilter& decoded,
                             const Geometry& geometry, const std::vector<uint8_t>& sample_coded,
                             ThreadPool& pool) {
  geometry_ = &geometry;
  memory_.resize(geometry.tiles.size());
  for (int p = 0; p < geometry.plane_count; ++p) {
    statistics_[static_cast<size_t>(p)].resize(geometry.superblocks() * wiener_classes(p));
    pool.parallel_rows(static_cast<size_t>(geometry.superblocks_y), [&](size_t sy) {
      measure_row(p, static_cast<int>(sy), source, decoded, sample_coded);
    });
  }
}

// The superblocks of a row.
void WienerDecision::measure_row(int plane, int sy, const Frame& source,
                                 const WienerFilter& decoded,
                                 const std::vector<uint8_t>& sample_coded) {
  SquareReader reader(plane, source, decoded);
  const int side = kSuperblockSize / (plane == 0 ? 1 : 2);
  const int token = kTokenSize / (plane == 0 ? 1 : 2);
  const int coded_width = geometry_->coded_width() / (plane == 0 ? 1 : 2);
  const int y_end = std::min((sy + 1) * side, geometry_->coded_height() / (plane == 0 ? 1 : 2));
  std::array<Samples, kWienerClasses> samples;
  for (int sx = 0; sx < geometry_->superblocks_x; ++sx) {
    WienerStatistics* statistics = &at(plane, geometry_->superblock_index(sx, sy), 0);
    std::fill_n(statistics, wiener_classes(plane), WienerStatistics());
    const int left = sx * side;
    const int width = std::min(side, coded_width - left);
    for (int y = sy * side; y < y_end; y += kWienerSquare) {
      reader.read(left, y, width);
      for (int i = 0; i < width / kWienerSquare; ++i) {
        const int x = left + i * kWienerSquare;
        if (sample_coded[geometry_->token_index(x / token, y / token)] != 0) continue;
        const WienerClass found =
            decoded.class_at(plane, left / kWienerSquare + i, y / kWienerSquare);
        Samples& own = samples[found.number];
        reader.add_to(own, i, found.transposed);
        if (own.size == Samples::kMost) {
          take_samples(own, wiener_taps(plane), statistics[found.number]);
        }
      }
    }
    for (size_t k = 0; k < wiener_classes(plane); ++k) {
      take_samples(samples[k], wiener_taps(plane), statistics[k]);
    }
  }
}

class WienerDecision::PlaneChoice {
 public:
  // What it chooses is in `memory.best`.
  PlaneChoice(const WienerDecision& decision, int plane, const SymbolTile& tile, double lambda,
              Memory& memory)
      : decision_(decision),
        plane_(plane),
        classes_(wiener_classes(plane)),
        taps_(wiener_taps(plane)),
        sets_(tile.contexts.wiener.sets[static_cast<size_t>(plane)]),
        lambda_(lambda),
        superblocks_(memory.superblocks),
        best_(memory.best),
        trial_(memory.trial) {
    superblocks_.clear();
    best_.filtered = false;
    for (int y = tile.area.y_begin; y < tile.area.y_end; ++y) {
      for (int x = tile.area.x_begin; x < tile.area.x_end; ++x) {
        superblocks_.push_back(decision.geometry_->superblock_index(x, y));
      }
    }
  }

  void run() {
    try_known();
    const int none = sets_.count();
    if (best_.filtered) try_new(best_.number);
    try_new(none);
  }

 private:
  const WienerStatistics& statistics(size_t i, size_t number) const {
    return decision_.statistics_[static_cast<size_t>(plane_)][superblocks_[i] * classes_ + number];
  }

  // Sets the flags of the superblocks; returns the RD cost.
  double choose_superblocks(WienerChoice& choice) const {
    double cost = 0;
    choice.on.resize(superblocks_.size());
    for (size_t i = 0; i < superblocks_.size(); ++i) {
      double filtered = lambda_ * kOnBits;
      for (size_t k = 0; k < classes_; ++k) {
        filtered += statistics(i, k).change(choice.set.taps[k], taps_);
      }
      const double untouched = lambda_ * kOffBits;
      choice.on[i] = filtered < untouched ? 1 : 0;
      cost += std::min(filtered, untouched);
    }
    return cost;
  }

  void keep_better(double cost) {
    if (cost >= best_cost_) return;
    best_ = trial_;
    best_cost_ = cost;
  }

  // With its flags as they are: their memory is kept.
  void begin_trial(int number, int parent, const WienerSet& set) {
    trial_.filtered = true;
    trial_.number = number;
    trial_.parent = parent;
    trial_.own = {};
    trial_.set = set;
  }

  void try_known() {
    for (int i = 0; i < sets_.count(); ++i) {
      begin_trial(i, 0, sets_.at(i));
      const double cost = choose_superblocks(trial_);
      keep_better(cost + lambda_ * (kSetBits + i));
    }
  }

  // A set with taps of its own where they cost less than those of its parent.
  void try_new(int parent) {
    begin_trial(sets_.count(), parent, {});
    trial_.on.assign(superblocks_.size(), 1);
    for (int round = 0; round < kRounds; ++round) {
      const double bits = make_set(trial_);
      const double cost = choose_superblocks(trial_);
      keep_better(cost + lambda_ * (kSetBits + sets_.count() + bits));
    }
  }

  // From the superblocks that are on; returns its bits.
  double make_set(WienerChoice& choice) const {
    const WienerSet parent = sets_.or_none(choice.parent);
    double bits = 0;
    for (size_t k = 0; k < classes_; ++k) {
      WienerStatistics sum;
      for (size_t i = 0; i < superblocks_.size(); ++i) {
        if (choice.on[i] != 0) sum.add(statistics(i, k));
      }
      const WienerTaps taps = make_taps(sum, taps_, lambda_);
      const double tap_cost = bits_of(taps, taps_);
      const bool own =
          sum.change(taps, taps_) + lambda_ * tap_cost < sum.change(parent.taps[k], taps_);
      choice.own[k] = own ? 1 : 0;
      choice.set.taps[k] = own ? taps : parent.taps[k];
      bits += kOwnBits + (own ? tap_cost : 0);
    }
    return bits;
  }

  const WienerDecision& decision_;
  const int plane_;
  const size_t classes_;
  const size_t taps_;
  const WienerSets& sets_;
  const double lambda_;
  std::vector<size_t>& superblocks_;  // of the tile
  WienerChoice& best_;                // off at first, at no cost
  double best_cost_ = 0;
  WienerChoice& trial_;
};

void WienerDecision::choose(int q, bool keyframe, SymbolTile& tile, size_t index) {
  const double step = step_q8(q) / kStepOne * (1 << (geometry_->bit_depth - 8));
  const double lambda = (keyframe ? kDecisions.keyframe_lambda : kDecisions.lambda) * step * step;
  for (int p = 0; p < geometry_->plane_count; ++p) {
    PlaneChoice(*this, p, tile, lambda, memory_[index]).run();
    tile.wiener[static_cast<size_t>(p)] = memory_[index].best;
  }
}

}  // namespace bsq
