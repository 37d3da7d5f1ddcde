// The symbols of the Wiener filter with their contexts: once for encoder and decoder
// (docs/bitstream.md section 4.9).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "base/status.h"
#include "codec/common/geometry.h"
#include "codec/common/symbol_coder.h"
#include "codec/common/wiener.h"
#include "entropy/mixed_bit.h"
#include "entropy/signed_number.h"

namespace bsq {

// The sets that were coded last for a plane of a tile, the newest one first.
class WienerSets {
 public:
  static constexpr int kMost = 4;

  int count() const { return count_; }
  const WienerSet& at(int number) const { return sets_[static_cast<size_t>(number)]; }
  // Without taps if there is none of this number.
  WienerSet or_none(int number) const { return number < count_ ? at(number) : WienerSet(); }
  void add(const WienerSet& set) {
    std::copy_backward(sets_.begin(), sets_.end() - 1, sets_.end());
    sets_.front() = set;
    count_ = std::min(count_ + 1, kMost);
  }

 private:
  std::array<WienerSet, kMost> sets_{};
  int count_ = 0;
};

struct WienerContexts {
  static constexpr size_t kPlanes = 3;
  static constexpr size_t kNumbers = WienerSets::kMost;
  static constexpr size_t kOwn = kWienerClasses + 2;
  static constexpr size_t kTaps = kWienerTaps + wiener_taps(1);
  static constexpr size_t kNear = 3;  // a count over two neighbours

  MixedContexts<kPlanes, kPlanes * 2> filtered;
  MixedContexts<1, kPlanes * 2 * kNumbers> number;
  MixedContexts<1, kOwn> own;
  MixedContexts<PartialNumber::kBins, PartialNumber::kBins * kTaps> tap;
  MixedContexts<kPlanes, kPlanes * kNear> on;
  std::array<WienerSets, kPlanes> sets;
};

// Codes how the planes of a tile are filtered.
template <SymbolCoder Coder>
class WienerCoder {
 public:
  WienerCoder(Coder& coder, WienerContexts& contexts, const SuperblockRect& tile, bool keyframe)
      : coder_(coder), contexts_(contexts), tile_(tile), keyframe_(keyframe) {}

  void code(int plane, WienerChoice& choice) {
    plane_ = static_cast<size_t>(plane);
    coder_.flags();
    choice.filtered = coder_.adaptive(
        contexts_.filtered.bit(plane_, {2 * plane_ + (keyframe_ ? 1U : 0U)}), choice.filtered);
    if (!choice.filtered) return;
    WienerSets& sets = contexts_.sets[plane_];
    choice.number = code_set_number(0, sets.count(), choice.number);
    if (choice.number < sets.count()) {
      choice.set = sets.at(choice.number);
    } else {
      code_set(sets, choice);
      sets.add(choice.set);
    }
    code_superblocks(choice);
    coder_.checkpoint();
  }

 private:
  // `kind`: 1 for that of a parent.
  int code_set_number(size_t kind, int count, int number) {
    int i = 0;
    while (i < count &&
           coder_.adaptive(contexts_.number.bit(0, {WienerContexts::kNumbers * (2 * plane_ + kind) +
                                                    static_cast<size_t>(i)}),
                           number > i)) {
      ++i;
    }
    return i;
  }

  void code_set(const WienerSets& sets, WienerChoice& choice) {
    choice.parent = code_set_number(1, sets.count(), choice.parent);
    const WienerSet parent = sets.or_none(choice.parent);
    const int plane = static_cast<int>(plane_);
    for (size_t k = 0; k < wiener_classes(plane); ++k) {
      const size_t context = plane == 0 ? k : kWienerClasses - 1 + plane_;
      const bool own = coder_.adaptive(contexts_.own.bit(0, {context}), choice.own[k] != 0);
      choice.own[k] = own ? 1 : 0;
      if (!own) choice.set.taps[k] = parent.taps[k];
      for (size_t i = 0; own && i < wiener_taps(plane); ++i) {
        choice.set.taps[k][i] = code_tap(i, choice.set.taps[k][i]);
      }
    }
  }

  int16_t code_tap(size_t i, int16_t tap) {
    const size_t place = plane_ == 0 ? i : kWienerTaps + i;
    const int32_t coded = code_number(coder_, tap, [&](const PartialNumber& number) {
      const size_t bin = number.bin();
      return contexts_.tap.bit(bin, {WienerContexts::kTaps * bin + place});
    });
    if (coded < -kMaxWienerTap || coded > kMaxWienerTap) {
      throw Error(BSQ_ERROR_BITSTREAM,
                  "the entropy-coded data is damaged: a tap of the Wiener filter exceeds 127");
    }
    return static_cast<int16_t>(coded);
  }

  void code_superblocks(WienerChoice& choice) {
    const auto width = static_cast<size_t>(tile_.x_end - tile_.x_begin);
    const auto height = static_cast<size_t>(tile_.y_end - tile_.y_begin);
    choice.on.resize(width * height);
    for (size_t i = 0; i < choice.on.size(); ++i) {
      const size_t left = i % width > 0 ? choice.on[i - 1] : 1U;
      const size_t above = i >= width ? choice.on[i - width] : 1U;
      const bool on =
          coder_.adaptive(contexts_.on.bit(plane_, {WienerContexts::kNear * plane_ + left + above}),
                          choice.on[i] != 0);
      choice.on[i] = on ? 1 : 0;
    }
  }

  Coder& coder_;
  WienerContexts& contexts_;
  const SuperblockRect tile_;
  const bool keyframe_;
  size_t plane_ = 0;
};

// Codes how the tile is filtered, after its last layer.
template <SymbolCoder Coder>
void code_wiener(Coder& coder, WienerContexts& contexts, const SuperblockRect& tile,
                 int plane_count, bool keyframe, WienerChoices& choices) {
  WienerCoder<Coder> symbols(coder, contexts, tile, keyframe);
  for (int p = 0; p < plane_count; ++p) symbols.code(p, choices[static_cast<size_t>(p)]);
}

}  // namespace bsq
