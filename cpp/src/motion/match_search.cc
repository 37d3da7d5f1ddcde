// Rolling hashes, and the vote on displacements.
#include "motion/match_search.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <unordered_map>
#include <utility>

#include "motion/motion_field.h"

namespace bsq {
namespace {

constexpr uint32_t kAcross = 0x9E3779B1;
constexpr uint32_t kDown = 0x85EBCA6B;
constexpr size_t kMostPlaces = 4;  // of a block in the reference
constexpr int kLeastVotes = 6;     // for a displacement
constexpr size_t kMostShifts = 8;
constexpr int kMost = kMvMax / 4;  // samples each way

constexpr uint32_t power(uint32_t base, int exponent) {
  uint32_t product = 1;
  for (int i = 0; i < exponent; ++i) product *= base;
  return product;
}

// Hashes of the runs of kWidth samples of a row.
void hash_row(const uint16_t* samples, int count, uint32_t* out) {
  constexpr uint32_t kLeaving = power(kAcross, MatchFrame::kWidth);
  uint32_t hash = 0;
  for (int x = 0; x < MatchFrame::kWidth; ++x) hash = hash * kAcross + samples[x];
  for (int x = 0; x < count; ++x) {
    out[x] = hash;
    if (x + 1 == count) break;
    hash = hash * kAcross + samples[x + MatchFrame::kWidth] - samples[x] * kLeaving;
  }
}

using Place = std::pair<int16_t, int16_t>;  // y, x

struct Places {
  std::vector<Place> current;
  std::vector<Place> reference;  // one more than kMostPlaces: too many
};

}  // namespace

void MatchFrame::fill(const ConstPlaneView& luma, ThreadPool& pool) {
  width_ = std::max(0, luma.width - kWidth + 1);
  height_ = width_ == 0 ? 0 : std::max(0, luma.height - kHeight + 1);
  if (height_ == 0) return clear();
  const auto columns = static_cast<size_t>(width_);
  std::vector<uint32_t> rows(columns * static_cast<size_t>(luma.height));
  pool.parallel_rows(static_cast<size_t>(luma.height), [&](size_t y) {
    hash_row(luma.row(static_cast<int>(y)), width_, &rows[y * columns]);
  });
  hashes_.resize(columns * static_cast<size_t>(height_));
  constexpr uint32_t kLeaving = power(kDown, kHeight);
  std::vector<uint32_t> sums(columns);
  for (size_t y = 0; y < static_cast<size_t>(luma.height); ++y) {
    const bool full = y >= kHeight;
    for (size_t x = 0; x < columns; ++x) {
      sums[x] = sums[x] * kDown + rows[y * columns + x] -
                (full ? rows[(y - kHeight) * columns + x] * kLeaving : 0);
    }
    if (y + 1 < kHeight) continue;
    uint32_t* to = &hashes_[(y + 1 - kHeight) * columns];
    for (size_t x = 0; x < columns; ++x) to[x] = (sums[x] ^ sums[x] >> 15) * kAcross;
  }
}

std::vector<Shift> find_shifts(const MatchFrame& current, const MatchFrame& reference) {
  if (current.empty() || current.width() != reference.width() ||
      current.height() != reference.height()) {
    return {};
  }
  std::unordered_map<uint32_t, Places> blocks;
  for (int y = 0; y < current.height(); y += kSubblockSize) {
    const std::span<const uint32_t> row = current.row(y);
    const std::span<const uint32_t> still = reference.row(y);
    for (size_t x = 0; x < row.size(); x += kSubblockSize) {
      if (row[x] == still[x]) continue;
      blocks[row[x]].current.emplace_back(static_cast<int16_t>(y), static_cast<int16_t>(x));
    }
  }
  if (blocks.empty()) return {};
  // Most places have none of these hashes, as a few bits tell.
  constexpr size_t kFilterBits = 16;
  std::vector<bool> filter(size_t{1} << kFilterBits);
  for (const auto& block : blocks) filter[block.first >> (32 - kFilterBits)] = true;
  for (int y = 0; y < reference.height(); ++y) {
    const std::span<const uint32_t> row = reference.row(y);
    for (size_t x = 0; x < row.size(); ++x) {
      if (!filter[row[x] >> (32 - kFilterBits)]) continue;
      const auto found = blocks.find(row[x]);
      if (found == blocks.end() || found->second.reference.size() > kMostPlaces) continue;
      found->second.reference.emplace_back(static_cast<int16_t>(y), static_cast<int16_t>(x));
    }
  }
  std::map<std::pair<int, int>, int> votes;  // by y, x
  for (const auto& [hash, places] : blocks) {
    if (places.reference.size() > kMostPlaces || places.current.size() > kMostPlaces) continue;
    for (const Place& from : places.current) {
      for (const Place& to : places.reference) {
        const std::pair<int, int> shift{to.first - from.first, to.second - from.second};
        if (std::abs(shift.first) < kMost && std::abs(shift.second) < kMost) ++votes[shift];
      }
    }
  }
  std::vector<std::pair<int, Shift>> ranked;
  for (const auto& [shift, count] : votes) {
    if (count >= kLeastVotes) ranked.push_back({count, {shift.second, shift.first}});
  }
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<Shift> shifts;
  for (const auto& [count, shift] : ranked) {
    if (shifts.size() < kMostShifts) shifts.push_back(shift);
  }
  return shifts;
}

}  // namespace bsq
