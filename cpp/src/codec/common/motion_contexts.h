// The contexts of motion symbols, by number (docs/bitstream.md section 4.8).
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "entropy/mixed_bit.h"
#include "entropy/signed_number.h"
#include "motion/b_motion.h"
#include "motion/motion_field.h"
#include "motion/vector_place.h"

namespace bsq {

struct MotionContexts {
  static constexpr size_t kSizes = 3;       // size_class()
  static constexpr size_t kNear = 3;        // a count over two neighbours
  static constexpr size_t kVarieties = 16;  // motion_variety() of two references
  static constexpr size_t kKinds = 4;       // vector_kind()
  static constexpr size_t kAgreeing = 4;
  static constexpr size_t kTemporal = VectorPlace::kNoTemporal + 1;
  static constexpr size_t kVotes = 16;
  static constexpr size_t kBins = 2 * PartialNumber::kBins;  // of x and of y
  static constexpr size_t kCandidates = BPlace::kMaxCandidates;
  static constexpr size_t kOrigins = 6;
  static constexpr size_t kDirections = 4;  // and none

  MixedContexts<2, 2 * kNear, 2 * kVarieties * kNear> superblock_split;
  MixedContexts<2, 2 * kNear, 2 * kVarieties * kNear> block_split;
  // Of vectors: "difference is zero", and differences.
  MixedContexts<kKinds, kKinds * kSizes * kNear, kKinds * kSizes * kAgreeing,
                kKinds * kSizes * kTemporal>
      same;
  MixedContexts<kBins, kKinds * kBins, kBins * kVotes, kBins * kSizes * 4, kBins * 16> difference;
  // Of B frames.
  MixedContexts<1, kSizes * kNear, kSizes * kCandidates * kNear, kTemporal * kSizes> merged;
  MixedContexts<kCandidates - 1, kCandidates - 1, (kCandidates - 1) * kCandidates * kSizes,
                (kCandidates - 1) * kOrigins * 3>
      candidate;
  MixedContexts<1, kSizes * kNear, kSizes * kDirections * kDirections, 8 * kSizes> both;
  MixedContexts<1, 3, kSizes * kDirections * kDirections> second;
};

// Whose vector: of a P frame; of a B frame the only one, the first or the second of two.
inline size_t vector_kind(bool is_b, uint8_t direction, size_t reference) {
  return !is_b ? 0 : direction != kBothReferences ? 1 : 2 + reference;
}

// The adaptive bits of a vector, by what is known of it.
class VectorBits {
 public:
  // `kind`, `size`: vector_kind(), size_class().
  VectorBits(MotionContexts& contexts, size_t kind, size_t size, const VectorPlace& place)
      : contexts_(contexts), kind_(kind), size_(size), place_(place) {}

  // "Difference is zero"; `near`: of the neighbours A and B, for how many it was not.
  auto same(size_t near) const {
    using C = MotionContexts;
    const size_t by_kind = kind_ * C::kSizes + size_;
    return contexts_.same.bit(
        kind_,
        {by_kind * C::kNear + near, by_kind * C::kAgreeing + static_cast<size_t>(place_.agreeing),
         by_kind * C::kTemporal + static_cast<size_t>(place_.temporal)});
  }

  // The next bit of the difference in x; where `known_x` is that, of the one in y.
  auto difference(const PartialNumber& number, std::optional<int> known_x) const {
    using C = MotionContexts;
    const size_t bin = (known_x ? PartialNumber::kBins : 0) + number.bin();
    const size_t other = known_x ? std::min<size_t>(1 + digits(*known_x), 3) : 0;
    const size_t temporal = place_.temporal == VectorPlace::kNoTemporal
                                ? 3
                                : std::min<size_t>(half(place_.temporal), 2);
    return contexts_.difference.bit(
        bin, {kind_ * C::kBins + bin, bin * C::kVotes + votes(number, known_x),
              (bin * C::kSizes + size_) * 4 + std::min<size_t>(half(place_.spread), 3),
              (bin * 4 + other) * 4 + temporal});
  }

 private:
  static size_t digits(int value) {
    return std::bit_width(static_cast<unsigned>(value < 0 ? -value : value));
  }
  static size_t half(int distance_class) { return static_cast<size_t>(distance_class + 1) / 2; }

  // How many of the place's vectors say 0, and how many 1, up to 3 each. In y those count twice
  // that are right in x.
  size_t votes(const PartialNumber& number, std::optional<int> known_x) const {
    std::array<size_t, 2> count{};
    for (size_t i = 0; i < place_.vote_count; ++i) {
      const int x = place_.votes[i].x - place_.predictor.x;
      const int y = place_.votes[i].y - place_.predictor.y;
      const int vote = number.next(known_x ? y : x);
      if (vote >= 0) count[static_cast<size_t>(vote)] += known_x && *known_x == x ? 2 : 1;
    }
    return std::min<size_t>(count[0], 3) * 4 + std::min<size_t>(count[1], 3);
  }

  MotionContexts& contexts_;
  const size_t kind_;
  const size_t size_;
  const VectorPlace& place_;
};

}  // namespace bsq
