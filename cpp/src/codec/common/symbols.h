// The symbols of a layer in a tile: order and contexts, once for encoder and decoder
// (docs/bitstream.md section 3).
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
#include "codec/common/flag_symbols.h"
#include "codec/common/geometry.h"
#include "codec/common/logit_correction.h"
#include "codec/common/motion_symbols.h"
#include "codec/common/sample_symbols.h"
#include "codec/common/symbol_coder.h"
#include "codec/common/wiener_symbols.h"
#include "entropy/logistic.h"
#include "network/prior.h"
#include "network/token_field.h"
#include "network/token_steps.h"

namespace bsq {

// The contexts of a tile; a new set at every keyframe.
struct TileContexts {
  FlagContexts flags;
  MotionContexts motion;
  SampleContexts samples;
  WienerContexts wiener;
  std::array<LogitCorrections, 2> corrections;  // by flag_type()

  LogitCorrections& of_type(int type) { return corrections[static_cast<size_t>(type)]; }
};

// One bit under a logit of the prior.
template <TokenCoder Coder>
bool code_logit(Coder& coder, LogitCorrection& correction, int32_t logit, bool bit) {
  const uint32_t p = correction.probability(logit);
  const bool coded = coder.bit(p, bit);
  if (Coder::kLearns) correction.learn(coded, p);
  return coded;
}

// Step 1: the flags of the superblocks of the tile, after its motion.
template <SymbolCoder Coder>
void code_superblocks(Coder& coder, TileContexts& contexts, const Geometry& g,
                      const SuperblockRect& tile, const LayerClass& layer, SuperblockFlags& flags) {
  SuperblockCoder<Coder> superblocks(coder, contexts.flags, g, tile, layer, flags);
  for (int sy = tile.y_begin; sy < tile.y_end; ++sy) {
    for (int sx = tile.x_begin; sx < tile.x_end; ++sx) superblocks.code(sx, sy);
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
void code_stage_counts(Coder& coder, TileContexts& contexts, const Geometry& g,
                       const TokenRect& rect, const LayerClass& layer, const ActiveTokens& active,
                       const int16_t* logits, TokenField& tokens, SuperblockFlags& flags) {
  coder.flags();
  StageCoder<Coder> stages(coder, contexts.flags, contexts.of_type(layer.type), rect, layer,
                           tokens);
  const ptrdiff_t outputs = ptrdiff_t{3} * tokens.max_stages;
  for (int y = rect.y; y < rect.y + rect.height; ++y) {
    for (int x = rect.x; x < rect.x + rect.width; ++x) {
      const int index = active.index(y, x);
      if (index < 0 || stages.code(y, x, logits + index * outputs) == 0) continue;
      ++flags.coded[g.superblock_index(x / kSuperblockTokens, y / kSuperblockTokens)];
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
