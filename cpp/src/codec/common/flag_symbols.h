// The symbols of superblocks and stage counts, with their contexts: once for encoder and decoder
// (docs/bitstream.md sections 3.1 and 3.4 to 3.6).
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/quant_step.h"
#include "base/status.h"
#include "codec/common/geometry.h"
#include "codec/common/logit_correction.h"
#include "codec/common/symbol_coder.h"
#include "entropy/logistic.h"
#include "entropy/mixed_bit.h"
#include "entropy/signed_number.h"
#include "network/token_field.h"

namespace bsq {

struct FlagContexts {
  static constexpr size_t kLayers = 4;   // LayerClass::kind()
  static constexpr size_t kNear = 3;     // a count over two neighbours
  static constexpr size_t kCoded = 6;    // coded_class()
  static constexpr size_t kStages = 4;   // of a stage flag: 0, 1, 2, more
  static constexpr size_t kAround = 81;  // three values each of four neighbours

  MixedContexts<kLayers, kLayers * kNear * kCoded, kLayers * kCoded * kNear> active;
  MixedContexts<1, 2> same_delta_q;  // 1 in keyframes
  MixedContexts<PartialNumber::kBins, PartialNumber::kBins * 2> delta_q;
  MixedLogits<kLayers * kStages, kLayers * kStages * kAround> stages;
};

// What a layer is, to its contexts.
struct LayerClass {
  bool keyframe = false;
  bool later = false;  // not the first layer of its frame
  int type = 1;        // flag_type()

  size_t kind() const { return 2 * static_cast<size_t>(type) + (later ? 1U : 0U); }
};

// t of the contexts of flags, and of the corrections: docs/bitstream.md section 3.1.
constexpr int flag_type(bool keyframe, bool last) { return !keyframe && last ? 0 : 1; }

// What is known of superblocks, one entry each.
struct SuperblockFlags {
  std::vector<uint8_t> active;
  std::vector<uint8_t> coded;          // tokens with stages
  std::vector<uint8_t> previous;       // likewise, of the layer that gives the previous token field
  std::vector<int16_t> delta_q;        // of this packet; an encoder's wishes until they are coded
  std::vector<int16_t> before;         // delta q after the packet before
  std::vector<uint8_t> delta_q_coded;  // in this packet

  explicit SuperblockFlags(size_t superblocks)
      : active(superblocks),
        coded(superblocks),
        previous(superblocks),
        delta_q(superblocks),
        before(superblocks),
        delta_q_coded(superblocks) {}

  // Before the flags of a packet.
  void begin_frame() {
    before = delta_q;
    std::fill(delta_q_coded.begin(), delta_q_coded.end(), uint8_t{0});
  }
  // Before those of a keyframe: there are no earlier ones.
  void reset() {
    std::fill(previous.begin(), previous.end(), uint8_t{0});
    std::fill(delta_q.begin(), delta_q.end(), int16_t{0});
    std::fill(before.begin(), before.end(), int16_t{0});
  }
  void end_layer() { std::swap(coded, previous); }
  // Those that were not coded become those of before.
  void keep_delta_q() {
    for (size_t i = 0; i < delta_q.size(); ++i) {
      if (delta_q_coded[i] == 0) delta_q[i] = before[i];
    }
  }
};

// Codes active flags and delta q of a tile's superblocks.
template <SymbolCoder Coder>
class SuperblockCoder {
 public:
  SuperblockCoder(Coder& coder, FlagContexts& contexts, const Geometry& geometry,
                  const SuperblockRect& tile, const LayerClass& layer, SuperblockFlags& flags)
      : coder_(coder),
        contexts_(contexts),
        geometry_(geometry),
        tile_(tile),
        layer_(layer),
        flags_(flags) {}

  void code(int sx, int sy) {
    const size_t at = geometry_.superblock_index(sx, sy);
    coder_.flags();
    flags_.coded[at] = 0;
    flags_.active[at] = coder_.adaptive(active_bit(sx, sy), flags_.active[at] != 0) ? 1 : 0;
    if (flags_.active[at] == 0 || flags_.delta_q_coded[at] != 0) return;
    coder_.delta_q();
    code_delta_q(sx, sy);
  }

 private:
  // What is known of a superblock, as 0 or 1; 0 outside the tile.
  size_t flag(const std::vector<uint8_t>& flags, int sx, int sy) const {
    const bool inside =
        sx >= tile_.x_begin && sx < tile_.x_end && sy >= tile_.y_begin && sy < tile_.y_end;
    return inside && flags[geometry_.superblock_index(sx, sy)] != 0 ? 1 : 0;
  }

  auto active_bit(int sx, int sy) {
    const size_t near = flag(flags_.active, sx - 1, sy) + flag(flags_.active, sx, sy - 1);
    const size_t after = flag(flags_.previous, sx + 1, sy) + flag(flags_.previous, sx, sy + 1);
    const auto coded = static_cast<size_t>(
        std::bit_width(unsigned{flags_.previous[geometry_.superblock_index(sx, sy)]}));
    const size_t kind = layer_.kind();
    return contexts_.active.bit(
        kind, {(kind * FlagContexts::kNear + near) * FlagContexts::kCoded + coded,
               (kind * FlagContexts::kCoded + coded) * FlagContexts::kNear + after});
  }

  int delta_q_predictor(int sx, int sy) const {
    const size_t at = geometry_.superblock_index(sx, sy);
    if (!layer_.keyframe) return flags_.before[at];
    const size_t left = at - 1;
    const size_t above = at - static_cast<size_t>(geometry_.superblocks_x);
    if (sx > tile_.x_begin && flags_.delta_q_coded[left] != 0) return flags_.delta_q[left];
    if (sy > tile_.y_begin && flags_.delta_q_coded[above] != 0) return flags_.delta_q[above];
    return 0;
  }

  // The delta q of a superblock that is active for the first time in its packet.
  void code_delta_q(int sx, int sy) {
    const size_t at = geometry_.superblock_index(sx, sy);
    const size_t keyframe = layer_.keyframe ? 1 : 0;
    int delta_q = delta_q_predictor(sx, sy);
    const int difference = flags_.delta_q[at] - delta_q;
    if (!coder_.adaptive(contexts_.same_delta_q.bit(0, {keyframe}), difference == 0)) {
      delta_q += code_number(coder_, difference, [&](const PartialNumber& number) {
        const size_t bin = number.bin();
        return contexts_.delta_q.bit(bin, {2 * bin + keyframe});
      });
    }
    if (delta_q < -kMaxDeltaQ || delta_q > kMaxDeltaQ) {
      throw Error(BSQ_ERROR_BITSTREAM, "the delta q of a superblock is out of range");
    }
    flags_.delta_q[at] = static_cast<int16_t>(delta_q);
    flags_.delta_q_coded[at] = 1;
  }

  Coder& coder_;
  FlagContexts& contexts_;
  const Geometry& geometry_;
  const SuperblockRect tile_;
  const LayerClass layer_;
  SuperblockFlags& flags_;
};

// Codes the stage counts of a tile's tokens.
template <SymbolCoder Coder>
class StageCoder {
 public:
  StageCoder(Coder& coder, FlagContexts& contexts, LogitCorrections& corrections,
             const TokenRect& rect, const LayerClass& layer, TokenField& tokens)
      : coder_(coder),
        contexts_(contexts),
        corrections_(corrections),
        rect_(rect),
        layer_(layer),
        tokens_(tokens) {}

  // Of a token with the 3 S logits `outputs`; returns the count.
  int code(int y, int x, const int16_t* outputs) {
    const Around around{stages(y, x - 1), stages(y - 1, x), stages(y - 1, x - 1),
                        stages(y - 1, x + 1)};
    uint8_t& count = tokens_.stages[tokens_.at(y, x)];
    int n = 0;
    while (n < tokens_.max_stages && code_flag(n, around, outputs, count > n)) ++n;
    count = static_cast<uint8_t>(n);
    return n;
  }

 private:
  using Around = std::array<int, 4>;  // stages to the left, above, above left, above right

  // Of a token that is coded before; 0 outside the tile.
  int stages(int y, int x) const {
    if (x < rect_.x || x >= rect_.x + rect_.width || y < rect_.y) return 0;
    return tokens_.stages[tokens_.at(y, x)];
  }

  bool code_flag(int n, const Around& around, const int16_t* outputs, bool wanted) {
    const auto stage = static_cast<size_t>(n);
    const size_t output = 3 * stage + (around[0] > n ? 1U : 0U) + (around[1] > n ? 1U : 0U);
    const size_t set =
        layer_.kind() * FlagContexts::kStages + std::min(stage, FlagContexts::kStages - 1);
    size_t more = 0;
    for (const int other : around) {
      more = 3 * more + static_cast<size_t>(std::clamp(other - n, 0, 2));
    }
    LogitCorrection& correction = corrections_.flags[output];
    const int32_t logit = outputs[output] + correction.value();
    const bool flag = coder_.adaptive(
        contexts_.stages.bit(set, {set * FlagContexts::kAround + more}, logit), wanted);
    correction.learn(flag, probability_from_logit(logit));
    return flag;
  }

  Coder& coder_;
  FlagContexts& contexts_;
  LogitCorrections& corrections_;
  const TokenRect rect_;
  const LayerClass layer_;
  TokenField& tokens_;
};

}  // namespace bsq
