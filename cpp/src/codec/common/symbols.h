// The symbols of a layer in a tile: order and contexts, once for encoder and decoder
// (docs/bitstream.md sections 3.1 to 3.4 and 4).
//
// The walks are templates over a coder: symbol_coder.h.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "base/section_clock.h"
#include "base/status.h"
#include "codec/common/geometry.h"
#include "codec/common/motion_symbols.h"
#include "codec/common/symbol_coder.h"
#include "entropy/adaptive_bit.h"
#include "entropy/logistic.h"
#include "network/prior.h"
#include "network/token_field.h"
#include "network/token_steps.h"

namespace bsq {

// Corrections of the prior's logits, which follow the frame at hand: docs/bitstream.md
// section 3.4.
class LogitCorrection {
 public:
  // What is added to a logit.
  int32_t value() const { return value_ >> kShift; }
  uint32_t probability(int32_t logit) const { return probability_from_logit(logit + value()); }
  void learn(bool bit, uint32_t probability) {
    const int32_t error = (bit ? 65536 : 0) - static_cast<int32_t>(probability);
    value_ = std::clamp(value_ + error, -kLimit, kLimit);
  }

 private:
  static constexpr int kShift = 13;
  static constexpr int32_t kLimit = 1 << 24;
  int32_t value_ = 0;
};

struct LogitCorrections {
  std::array<LogitCorrection, 3 * kMaxStages> flags;
  std::array<LogitCorrection, kMaxStages * kStageBits> bits;
};

// The contexts of a tile; a new set at every keyframe.
struct TileContexts {
  std::array<AdaptiveBit, 12> active;
  MotionContexts motion;
  std::array<AdaptiveBit, 2> same_delta_q;  // 1 in keyframes
  SignedContexts delta_q;
  std::array<LogitCorrections, 2> corrections;  // by flag_type()

  LogitCorrections& of_type(int type) { return corrections[static_cast<size_t>(type)]; }
};

// t of the contexts of active flags, and of the corrections: docs/bitstream.md section 3.1.
constexpr int flag_type(bool keyframe, bool last) { return !keyframe && last ? 0 : 1; }

// One bit under a logit of the prior.
template <TokenCoder Coder>
bool code_logit(Coder& coder, LogitCorrection& correction, int32_t logit, bool bit) {
  const uint32_t p = correction.probability(logit);
  const bool coded = coder.bit(p, bit);
  if (Coder::kLearns) correction.learn(coded, p);
  return coded;
}

// What is known of superblocks, one entry each: the active flags of a layer, and the flags they are
// predicted from, and what they add to q.
struct SuperblockFlags {
  std::vector<uint8_t> active;
  std::vector<uint8_t> previous;       // of the layer that gives the previous token field
  std::vector<int16_t> delta_q;        // of this packet; an encoder's wishes until they are coded
  std::vector<int16_t> before;         // delta q after the packet before
  std::vector<uint8_t> delta_q_coded;  // in this packet

  explicit SuperblockFlags(size_t superblocks)
      : active(superblocks),
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
  void end_layer() { std::swap(active, previous); }
  // Those that were not coded become those of before.
  void keep_delta_q() {
    for (size_t i = 0; i < delta_q.size(); ++i) {
      if (delta_q_coded[i] == 0) delta_q[i] = before[i];
    }
  }
};

// The delta q of a superblock that is active for the first time in its packet: docs/bitstream.md
// section 3.1.
template <SymbolCoder Coder>
void code_delta_q(Coder& coder, TileContexts& contexts, const Geometry& g,
                  const SuperblockRect& tile, bool keyframe, int sx, int sy,
                  SuperblockFlags& flags) {
  const size_t at = g.superblock_index(sx, sy);
  const size_t left = at - 1;
  const size_t above = at - static_cast<size_t>(g.superblocks_x);
  int predictor = flags.before[at];
  if (keyframe) {
    predictor = 0;
    if (sx > tile.x_begin && flags.delta_q_coded[left] != 0) {
      predictor = flags.delta_q[left];
    } else if (sy > tile.y_begin && flags.delta_q_coded[above] != 0) {
      predictor = flags.delta_q[above];
    }
  }
  flags.delta_q_coded[at] = 1;
  AdaptiveBit& same = contexts.same_delta_q[keyframe ? 1 : 0];
  int delta_q = predictor;
  if (!coder.adaptive(same, flags.delta_q[at] == predictor)) {
    delta_q += coder.number(contexts.delta_q, flags.delta_q[at] - predictor);
  }
  if (delta_q < -kMaxDeltaQ || delta_q > kMaxDeltaQ) {
    throw Error(BSQ_ERROR_BITSTREAM, "the delta q of a superblock is out of range");
  }
  flags.delta_q[at] = static_cast<int16_t>(delta_q);
}

// What a layer is, to its superblocks.
struct SuperblockLayer {
  MotionSymbols* motion = nullptr;  // in the first layer between keyframes
  int type = 0;                     // t of the flags' context
  bool keyframe = false;
};

// Step 1: the motion and then the flags of the superblocks of the tile.
template <SymbolCoder Coder>
void code_superblocks(Coder& coder, TileContexts& contexts, const Geometry& g,
                      const SuperblockRect& tile, const SuperblockLayer& layer,
                      SuperblockFlags& flags) {
  if (layer.motion != nullptr) code_motion(coder, contexts.motion, tile, *layer.motion);
  for (int sy = tile.y_begin; sy < tile.y_end; ++sy) {
    for (int sx = tile.x_begin; sx < tile.x_end; ++sx) {
      const size_t at = g.superblock_index(sx, sy);
      const int left = sx > tile.x_begin ? flags.active[at - 1] : 0;
      const int above = sy > tile.y_begin ? flags.active[g.superblock_index(sx, sy - 1)] : 0;
      const int context = 6 * layer.type + 2 * (left + above) + flags.previous[at];
      AdaptiveBit& active = contexts.active[static_cast<size_t>(context)];
      coder.flags();
      flags.active[at] = coder.adaptive(active, flags.active[at] != 0) ? 1 : 0;
      if (flags.active[at] != 0 && flags.delta_q_coded[at] == 0) {
        coder.delta_q();
        code_delta_q(coder, contexts, g, tile, layer.keyframe, sx, sy, flags);
      }
    }
    coder.checkpoint();
  }
}

// The tokens of a tile.
inline TokenRect token_rect(const Geometry& g, const SuperblockRect& tile) {
  const int x = tile.x_begin * kSuperblockTokens;
  const int y = tile.y_begin * kSuperblockTokens;
  return {y, x, std::min(tile.y_end * kSuperblockTokens, g.tokens_y) - y,
          std::min(tile.x_end * kSuperblockTokens, g.tokens_x) - x};
}

// Step 2: stage counts of the active tokens of the tile, from the logits [active.count(), 3 S] of
// the prior's trunk. Tokens of inactive superblocks must hold 0 stages.
template <SymbolCoder Coder>
void code_stage_counts(Coder& coder, LogitCorrections& corrections, const TokenRect& rect,
                       const ActiveTokens& active, const int16_t* logits, TokenField& tokens) {
  coder.flags();
  for (int y = rect.y; y < rect.y + rect.height; ++y) {
    for (int x = rect.x; x < rect.x + rect.width; ++x) {
      const int index = active.index(y, x);
      if (index < 0) continue;
      const int16_t* outputs = logits + static_cast<ptrdiff_t>(index) * 3 * tokens.max_stages;
      const int left = x > rect.x ? tokens.stages[tokens.at(y, x - 1)] : 0;
      const int above = y > rect.y ? tokens.stages[tokens.at(y - 1, x)] : 0;
      uint8_t& stages = tokens.stages[tokens.at(y, x)];
      int n = 0;
      while (n < tokens.max_stages) {
        const int context = (left > n ? 1 : 0) + (above > n ? 1 : 0);
        const int output = 3 * n + context;
        LogitCorrection& correction = corrections.flags[static_cast<size_t>(output)];
        if (!code_logit(coder, correction, outputs[output], stages > n)) break;
        ++n;
      }
      stages = static_cast<uint8_t>(n);
    }
    coder.checkpoint();
  }
}

// Eight bits of one token under their logits. `pair` is that of TilePrior.
template <TokenCoder Coder>
uint8_t code_byte(Coder& coder, LogitCorrection* corrections, const int16_t* logits,
                  const int16_t* pair, unsigned value) {
  ByteLogits moving(logits, pair);
  unsigned coded = 0;
  for (int i = 0; i < kSubgroupBits; ++i) {
    if (!code_logit(coder, corrections[i], moving[i], ((value >> i) & 1) != 0)) continue;
    coded |= 1U << i;
    moving.set(i);
  }
  return static_cast<uint8_t>(coded);
}

// The bits of sub-group j of a stage of the tokens in `list`, indices in `active`, with the logits
// [list.size(), 8]; `bytes` receives them, one per token.
template <TokenCoder Coder>
void code_subgroup(Coder& coder, LogitCorrections& all, const ActiveTokens& active,
                   std::span<const int32_t> list, int stage, int j, const int16_t* logits,
                   const int16_t* pair, TokenField& tokens, uint8_t* bytes) {
  const int first = stage * kStageBits + j * kSubgroupBits;
  LogitCorrection* corrections = all.bits.data() + first;
  for (size_t i = 0; i < list.size(); ++i) {
    coder.token(list[i], first);
    const TokenPosition at = active.tokens()[static_cast<size_t>(list[i])];
    uint32_t& word = tokens.words(tokens.at(at.y, at.x))[stage];
    const int shift = j * kSubgroupBits;
    bytes[i] =
        code_byte(coder, corrections, logits + i * kSubgroupBits, pair, (word >> shift) & 0xFF);
    word = (word & ~(0xFFU << shift)) | static_cast<uint32_t>(bytes[i]) << shift;
  }
  coder.checkpoint();
}

// The bits of a stage of the tokens in `list`, of which `prior` has begun the stage.
template <TokenCoder Coder>
void code_stage(Coder& coder, LogitCorrections& corrections, TilePrior& prior,
                const ActiveTokens& active, std::span<const int32_t> list, int stage,
                TokenField& tokens) {
  const auto code = [&](Coder& with, int begin, int end, int j, const int16_t* logits,
                        uint8_t* bytes) {
    const auto rows = list.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
    code_subgroup(with, corrections, active, rows, stage, j, logits, prior.pair(j), tokens, bytes);
  };
  if constexpr (!Coder::kLearns) {
    // Tokens do not depend on each other.
    prior.stage_apart([&](int begin, int end, int j, const int16_t* logits, uint8_t* bytes) {
      Coder own = coder;
      code(own, begin, end, j, logits, bytes);
    });
  } else if constexpr (Coder::kKnows) {
    prior.stage_apart([&](int begin, int end, int j, const int16_t*, uint8_t* bytes) {
      for (int i = begin; i < end; ++i) {
        const auto token = static_cast<size_t>(list[static_cast<size_t>(i)]);
        const TokenPosition at = active.tokens()[token];
        const uint32_t word = tokens.words(tokens.at(at.y, at.x))[stage];
        *bytes++ = static_cast<uint8_t>(word >> (j * kSubgroupBits));
      }
    });
    const auto count = static_cast<int>(list.size());
    for (int j = 0; j < kSubgroups; ++j) code(coder, 0, count, j, prior.logits(j), prior.bytes());
  } else {
    prior.stage_in_order([&](int begin, int end, int j, const int16_t* logits, uint8_t* bytes) {
      const SectionScope scope(Section::kRangeCoding);
      code(coder, begin, end, j, logits, bytes);
    });
  }
}

// Step 3: the bits of the tile's tokens, group by group. `prior` has begun the layer.
template <TokenCoder Coder>
void code_token_bits(Coder& coder, LogitCorrections& corrections, TilePrior& prior,
                     const ActiveTokens& active, TokenField& tokens) {
  coder.tokens();
  if (active.count() == 0) return;
  for (int group = 0; group < kGroups; ++group) {
    prior.begin_group(group);
    for (int stage = 0; stage < tokens.max_stages; ++stage) {
      const std::span<const int32_t> list = prior.begin_stage(stage);
      if (list.empty()) break;  // no token has more stages either
      code_stage(coder, corrections, prior, active, list, stage, tokens);
    }
  }
}

}  // namespace bsq
