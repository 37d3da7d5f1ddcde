// A common step for all frames, coarser where frames are hard, and where the buffer would run
// empty.
#include "codec/encoder/rate/rate_plan.h"

#include <algorithm>
#include <cmath>

namespace bsq {
namespace {

// How much of a frame's difficulty goes into its step instead of its bits: 0 gives all frames
// one step, 1 gives all frames the same bits.
constexpr double kCompression = 0.1;
// Difficulty is averaged over so many seconds to either side.
constexpr double kBlurSeconds = 1.0;
constexpr double kReserve = 0.1;  // of the buffer, which the plan leaves in it
constexpr double kFixStep = 4.0;
constexpr double kReach = 5.0;   // in times that the buffer takes to fill
constexpr int kMaxFixes = 1000;  // without the buffer being full in between
constexpr int kSearches = 24;

double slope(const PassRecord& record) { return record.keyframe ? kKeyframeSlope : kInterSlope; }

double octaves(double from, double to, double slope) { return slope * (from - to) / kQPerOctave; }

// Offsets of the frames' steps from the common one, by how hard their surroundings are.
std::vector<double> compression_offsets(std::span<const PassRecord> records) {
  std::vector<double> hardness(records.size());  // bits per second as if at step 0, blurred
  double mean = 0;
  size_t begin = 0;
  size_t end = 0;
  double bits = 0;
  double seconds = 0;
  double now = 0;
  double begin_time = 0;
  double end_time = 0;
  const auto at_zero = [&](size_t i) {
    if (records[i].keyframe) return 0.0;
    return records[i].bits * std::exp2(octaves(records[i].step, 0, kInterSlope));
  };
  for (size_t i = 0; i < records.size(); ++i) {
    for (; end < records.size() && end_time <= now + kBlurSeconds; ++end) {
      bits += at_zero(end);
      seconds += records[end].seconds;
      end_time += records[end].seconds;
    }
    for (; begin < i && begin_time < now - kBlurSeconds; ++begin) {
      bits -= at_zero(begin);
      seconds -= records[begin].seconds;
      begin_time += records[begin].seconds;
    }
    hardness[i] = std::max(bits, 1.0) / std::max(seconds, 1e-6);
    mean += std::log2(hardness[i]) / static_cast<double>(records.size());
    now += records[i].seconds;
  }
  for (double& h : hardness) h = kCompression * kQPerOctave / kInterSlope * (std::log2(h) - mean);
  return hardness;
}

struct Planner {
  std::span<const PassRecord> records;
  std::vector<double> offsets;
  double maxrate;
  double capacity;
  std::vector<double> steps;

  double bits_of(size_t i) const { return expected_bits(records[i], steps[i]); }

  // Raises steps where the buffer would run lower than its reserve: from where it was last full,
  // but not much longer ago than it takes to fill.
  void fix_underflows() {
    std::vector<double> before(records.size() + 1);  // fullness when a frame is due
    before[0] = kStartFullness * capacity;
    size_t full = 0;
    int fixes = 0;
    for (size_t i = 0; i < records.size();) {
      const double left = before[i] - bits_of(i);
      if (left < kReserve * capacity && fixes < kMaxFixes) {
        const size_t first = std::max(full, reach_back(i));
        if (raise(first, i)) {
          ++fixes;
          i = first;
          continue;
        }
      }
      before[i + 1] = std::min(capacity, left + maxrate * records[i].seconds);
      ++i;
      if (before[i] < capacity) continue;
      full = i;
      fixes = 0;
    }
  }

  size_t reach_back(size_t i) const {
    double seconds = kReach * capacity / maxrate;
    while (i > 0 && seconds > 0) seconds -= records[--i].seconds;
    return i;
  }

  // Returns whether any step could be raised.
  bool raise(size_t first, size_t last) {
    bool any = false;
    for (size_t i = first; i <= last; ++i) {
      if (steps[i] >= kMaxC) continue;
      steps[i] = std::min(kMaxC, steps[i] + kFixStep);
      any = true;
    }
    return any;
  }

  // Sets the steps for a common one; returns all bits.
  double set(double common) {
    double bits = 0;
    for (size_t i = 0; i < records.size(); ++i) {
      steps[i] = std::clamp(common + offsets[i], 0.0, kMaxC);
    }
    fix_underflows();
    for (size_t i = 0; i < records.size(); ++i) bits += bits_of(i);
    return bits;
  }
};

}  // namespace

double expected_bits(const PassRecord& record, double step) {
  return record.bits * std::exp2(octaves(record.step, step, slope(record)));
}

double RatePlan::bits_ahead(size_t first, double horizon) const {
  double bits = 0;
  for (size_t i = first; i < frames.size() && horizon > 0; ++i) {
    bits += frames[i].bits;
    horizon -= seconds[i];
  }
  return bits;
}

RatePlan plan_rate(std::span<const PassRecord> records, const PlanGoal& goal) {
  RatePlan plan;
  if (records.empty()) return plan;
  Planner planner{records, compression_offsets(records), goal.maxrate, goal.capacity, {}};
  planner.steps.resize(records.size());
  double seconds = 0;
  for (const PassRecord& record : records) seconds += record.seconds;
  double low = -kMaxC;
  double high = 2 * kMaxC;
  for (int i = 0; i < kSearches; ++i) {
    const double middle = (low + high) / 2;
    (planner.set(middle) > goal.bitrate * seconds ? low : high) = middle;
  }
  planner.set(high);
  for (size_t i = 0; i < records.size(); ++i) {
    plan.frames.push_back({planner.steps[i], planner.bits_of(i)});
    plan.seconds.push_back(records[i].seconds);
  }
  return plan;
}

}  // namespace bsq
