// The symbols of a layer in a block: order, contexts and models, once for encoder and decoder
// (docs/bitstream.md sections 3.1 to 3.4 and 4).
//
// The walks are templates over a coder. An encoder's coder writes the value that it is given and
// returns it; a decoder's ignores the value and returns what it reads. A coder has
//
//   bool adaptive(AdaptiveBit& model, bool bit)
//   int32_t number(SignedModels& models, int32_t value)
//   bool bit(uint32_t probability, bool bit)
//   static constexpr bool kLearns   whether corrections of logits follow what is coded
//   void checkpoint()          throws when a decoder has read far past the end of its data
//   void motion(), flags(), tokens()   tell what the symbols from here on belong to
//   void token(int32_t index, int first)  tells whose bits follow, as an index of an active token,
//                                         and the number of the first of them
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"
#include "codec/geometry.h"
#include "entropy/adaptive_bit.h"
#include "entropy/logistic.h"
#include "motion/motion_field.h"
#include "network/prior.h"
#include "network/token_field.h"

namespace bsq {

// Corrections of the prior's logits, which follow the picture at hand: docs/bitstream.md
// section 3.4. In numerics 1 they stay 0.
class LogitCorrection {
 public:
  uint32_t probability(int16_t logit) const {
    return probability_from_logit(logit + (value_ >> kShift));
  }
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

// The adaptive models of a block; a new set at every keyframe.
struct BlockModels {
  std::array<AdaptiveBit, 12> active;
  std::array<AdaptiveBit, 3> split;
  std::array<AdaptiveBit, 3> same_vector;
  SignedModels difference_x;
  SignedModels difference_y;
  std::array<LogitCorrections, 2> corrections;  // by t of section 3.1
};

// What the symbols of a layer are coded with, beside the prior.
struct LayerModels {
  LogitCorrections& corrections;
  bool learn;  // not in numerics 1
};

// One bit under a logit of the prior.
template <class Coder>
bool code_logit(Coder& coder, const LayerModels& models, LogitCorrection& correction, int16_t logit,
                bool bit) {
  const uint32_t p = correction.probability(logit);
  const bool coded = coder.bit(p, bit);
  if (Coder::kLearns && models.learn) correction.learn(coded, p);
  return coded;
}

// Motion of one picture as it is coded: vectors, and which parts differ from their predictor.
struct MotionSymbols {
  MotionField field;
  std::vector<uint8_t> differs;  // per 16x16 part, 0 or 1

  MotionSymbols() = default;
  explicit MotionSymbols(const Geometry& g)
      : field(g.coded_width(), g.coded_height()), differs(field.mv.size()) {}

  uint8_t& differs_at(int px, int py) {
    return differs[static_cast<size_t>(py) * static_cast<size_t>(field.parts_x) +
                   static_cast<size_t>(px)];
  }
};

inline WindowRect window_rect(const Block& b) { return {b.x_begin, b.y_begin, b.x_end, b.y_end}; }

// One vector, given its predictor. The flag's context is the number of the left and above parts
// of (px, py) in the block that differ.
template <class Coder>
Mv code_vector(Coder& coder, BlockModels& models, const Block& block, MotionSymbols& motion, int px,
               int py, Mv predictor, bool* differs) {
  const Mv actual = motion.field.mv_at(px, py);
  const int left = px > 2 * block.x_begin ? motion.differs_at(px - 1, py) : 0;
  const int above = py > 2 * block.y_begin ? motion.differs_at(px, py - 1) : 0;
  AdaptiveBit& same = models.same_vector[static_cast<size_t>(left + above)];
  *differs = !coder.adaptive(same, actual == predictor);
  if (!*differs) return predictor;
  const int x = predictor.x + coder.number(models.difference_x, actual.x - predictor.x);
  const int y = predictor.y + coder.number(models.difference_y, actual.y - predictor.y);
  if (x < kMvMin || x > kMvMax || y < kMvMin || y > kMvMax) {
    throw Error(BSQ_ERROR_BITSTREAM, "a motion vector is out of range");
  }
  return {static_cast<int16_t>(x), static_cast<int16_t>(y)};
}

template <class Coder>
void code_window_motion(Coder& coder, BlockModels& models, const Block& block,
                        MotionSymbols& motion, int wx, int wy) {
  MotionField& field = motion.field;
  const int left = wx > block.x_begin ? field.split_at(wx - 1, wy) : 0;
  const int above = wy > block.y_begin ? field.split_at(wx, wy - 1) : 0;
  const bool split =
      coder.adaptive(models.split[static_cast<size_t>(left + above)], field.split_at(wx, wy) != 0);
  field.split_at(wx, wy) = split ? 1 : 0;
  const int px_end = std::min(2 * wx + 2, field.parts_x);
  const int py_end = std::min(2 * wy + 2, field.parts_y);
  bool differs = false;
  Mv whole;
  if (!split) {
    const Mv predictor = predict_window_mv(field, window_rect(block), wx, wy);
    whole = code_vector(coder, models, block, motion, 2 * wx, 2 * wy, predictor, &differs);
  }
  for (int py = 2 * wy; py < py_end; ++py) {
    for (int px = 2 * wx; px < px_end; ++px) {
      Mv v = whole;
      if (split) {
        const Mv predictor = predict_part_mv(field, window_rect(block), px, py);
        v = code_vector(coder, models, block, motion, px, py, predictor, &differs);
      }
      field.mv_at(px, py) = v;
      motion.differs_at(px, py) = differs ? 1 : 0;
    }
  }
}

// Active flags of a layer, and the flags they are predicted from; one entry per window.
struct WindowFlags {
  std::vector<uint8_t> active;
  std::vector<uint8_t> previous;  // of the layer that gives the previous token field
};

// Step 1: windows of the block. `motion` is null except in the first layer between keyframes;
// `type` is t of the flags' context.
template <class Coder>
void code_windows(Coder& coder, BlockModels& models, const Geometry& g, const Block& block,
                  MotionSymbols* motion, int type, WindowFlags& flags) {
  for (int wy = block.y_begin; wy < block.y_end; ++wy) {
    for (int wx = block.x_begin; wx < block.x_end; ++wx) {
      coder.motion();
      if (motion != nullptr) code_window_motion(coder, models, block, *motion, wx, wy);
      coder.flags();
      const size_t at = g.window_index(wx, wy);
      const int left = wx > block.x_begin ? flags.active[at - 1] : 0;
      const int above = wy > block.y_begin ? flags.active[g.window_index(wx, wy - 1)] : 0;
      const int context = 6 * type + 2 * (left + above) + flags.previous[at];
      AdaptiveBit& model = models.active[static_cast<size_t>(context)];
      flags.active[at] = coder.adaptive(model, flags.active[at] != 0) ? 1 : 0;
    }
    coder.checkpoint();
  }
}

// The tokens of a block.
inline TokenRect token_rect(const Geometry& g, const Block& b) {
  const int x = b.x_begin * kWindowTokens;
  const int y = b.y_begin * kWindowTokens;
  return {y, x, std::min(b.y_end * kWindowTokens, g.tokens_y) - y,
          std::min(b.x_end * kWindowTokens, g.tokens_x) - x};
}

// Step 2: stage counts of the active tokens of the block, from the logits [active.count(), 3 S] of
// the prior's trunk. Tokens of inactive windows must hold 0 stages.
template <class Coder>
void code_stage_counts(Coder& coder, const LayerModels& models, const TokenRect& rect,
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
        LogitCorrection& correction = models.corrections.flags[static_cast<size_t>(output)];
        if (!code_logit(coder, models, correction, outputs[output], stages > n)) break;
        ++n;
      }
      stages = static_cast<uint8_t>(n);
    }
    coder.checkpoint();
  }
}

// Eight bits of one token under their logits.
template <class Coder>
uint8_t code_byte(Coder& coder, const LayerModels& models, LogitCorrection* corrections,
                  const int16_t* logits, unsigned value) {
  unsigned coded = 0;
  for (int i = 0; i < kSubgroupBits; ++i) {
    const bool bit = code_logit(coder, models, corrections[i], logits[i], ((value >> i) & 1) != 0);
    coded |= (bit ? 1U : 0U) << i;
  }
  return static_cast<uint8_t>(coded);
}

// Step 3: the bits of the block's tokens, group by group. `prior` has begun the layer.
template <class Coder>
void code_token_bits(Coder& coder, const LayerModels& models, PriorBlock& prior,
                     const ActiveTokens& active, TokenField& tokens) {
  coder.tokens();
  if (active.count() == 0) return;
  std::vector<uint8_t> bytes;
  for (int group = 0; group < kGroups; ++group) {
    prior.begin_group(group);
    for (int stage = 0; stage < tokens.max_stages; ++stage) {
      const std::span<const int32_t> list = prior.begin_stage(stage);
      if (list.empty()) break;  // no token has more stages either
      bytes.resize(list.size());
      for (int j = 0; j < kSubgroups; ++j) {
        const int16_t* logits = prior.logits();
        const int first = stage * kStageBits + j * kSubgroupBits;
        LogitCorrection* corrections = models.corrections.bits.data() + first;
        for (size_t i = 0; i < list.size(); ++i) {
          coder.token(list[i], first);
          const TokenPosition at = active.tokens()[static_cast<size_t>(list[i])];
          uint32_t& word = tokens.words(tokens.at(at.y, at.x))[stage];
          const int shift = j * kSubgroupBits;
          bytes[i] = code_byte(coder, models, corrections, logits + i * kSubgroupBits,
                               (word >> shift) & 0xFF);
          word = (word & ~(0xFFU << shift)) | static_cast<uint32_t>(bytes[i]) << shift;
        }
        coder.checkpoint();
        prior.feed(bytes);
      }
    }
  }
}

}  // namespace bsq
