// The motion symbols of a tile: order and contexts, once for encoder and decoder
// (docs/bitstream.md section 4).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/status.h"
#include "codec/common/geometry.h"
#include "codec/common/motion_contexts.h"
#include "codec/common/symbol_coder.h"
#include "motion/b_motion.h"
#include "motion/motion_field.h"

namespace bsq {

// Motion of one frame as it is coded: vectors, and what the contexts of later squares need.
struct MotionSymbols {
  MotionField field;
  std::vector<uint8_t> marks;  // per 8x8 sub-block: kMarkFirstDiffers..
  // Of a B frame.
  TemporalMotion temporal;
  ReferenceDistances distances;

  MotionSymbols() = default;
  explicit MotionSymbols(const Geometry& g)
      : field(g.coded_width(), g.coded_height()), marks(field.mv.size()) {}
};

// What the sub-blocks to the left of and above a square's first one say, added; 0 outside the tile.
template <class Fn>
size_t count_near(const SuperblockRect& tile, const MotionSquare& square, const Fn& fn) {
  const bool left = square.x > kSuperblockSubblocks * tile.x_begin && fn(square.x - 1, square.y);
  const bool above = square.y > kSuperblockSubblocks * tile.y_begin && fn(square.x, square.y - 1);
  return size_t{left} + size_t{above};
}

// A vector by its difference from the predictor. `same`: the context of "difference is zero";
// `differs` becomes whether that was 0.
template <SymbolCoder Coder>
Mv code_vector(Coder& coder, VectorContexts& contexts, AdaptiveBit& same, Mv predictor, Mv actual,
               bool& differs) {
  differs = !coder.adaptive(same, actual == predictor);
  if (!differs) return predictor;
  const int x = predictor.x + coder.number(contexts.difference_x, actual.x - predictor.x);
  const int y = predictor.y + coder.number(contexts.difference_y, actual.y - predictor.y);
  if (x < kMvMin || x > kMvMax || y < kMvMin || y > kMvMax) {
    throw Error(BSQ_ERROR_BITSTREAM, "a motion vector is out of range");
  }
  return {static_cast<int16_t>(x), static_cast<int16_t>(y)};
}

// What the coders of squares have in common.
template <SymbolCoder Coder, class Contexts>
class SquareCoder {
 public:
  SquareCoder(Coder& coder, Contexts& contexts, MotionSymbols& motion, const SuperblockRect& tile)
      : coder_(coder), contexts_(contexts), motion_(motion), tile_(tile) {}

  SplitContexts& split() { return contexts_.split; }

 protected:
  Coder& coder_;
  Contexts& contexts_;
  MotionSymbols& motion_;
  const SuperblockRect tile_;
};

// Codes the squares of a P frame: a vector each, left in the field.
template <SymbolCoder Coder>
class PSquareCoder : public SquareCoder<Coder, PMotionContexts> {
  using Base = SquareCoder<Coder, PMotionContexts>;
  using Base::coder_, Base::contexts_, Base::motion_, Base::tile_;

 public:
  using Base::Base;

  void code(const MotionSquare& square) {
    MotionField& field = motion_.field;
    const size_t near = count_near(tile_, square, [&](int cx, int cy) {
      return motion_.marks[field.subblock_index(cx, cy)] != 0;
    });
    const Mv predictor = predict_mv(field, tile_, square);
    bool differs = false;
    AdaptiveBit& same = contexts_.vector.same[size_class(square)][near];
    const Mv v = code_vector(coder_, contexts_.vector, same, predictor,
                             field.mv_at(square.x, square.y), differs);
    field.for_subblocks(square, [&](int cx, int cy) {
      const size_t at = field.subblock_index(cx, cy);
      field.mv[at] = v;
      motion_.marks[at] = differs ? kMarkFirstDiffers : uint8_t{0};
    });
  }
};

// Codes the squares of a B frame: direction and vectors each, or a merge candidate.
template <SymbolCoder Coder>
class BSquareCoder : public SquareCoder<Coder, BMotionContexts> {
  using Base = SquareCoder<Coder, BMotionContexts>;
  using Base::coder_, Base::contexts_, Base::motion_, Base::tile_;

 public:
  using Base::Base;

  // An encoder merges a square wherever there is a candidate for its motion.
  void code(const MotionSquare& square) {
    MotionField& field = motion_.field;
    const BPlace place = b_place(field, motion_.marks, tile_, square, motion_.temporal);
    const BlockMotion actual = block_motion(field, field.subblock_index(square.x, square.y));
    const size_t candidate = place.find(actual);
    const bool merged = coder_.adaptive(contexts_.merged[size_class(square)][place.near_merged],
                                        candidate < place.candidate_count);
    uint8_t marks = kMarkMerged;
    const BlockMotion motion =
        (merged ? code_candidate(place, candidate) : code_directions(place, actual, marks))
            .completed(motion_.distances);
    set_block_motion(field, square, motion);
    field.for_subblocks(
        square, [&](int cx, int cy) { motion_.marks[field.subblock_index(cx, cy)] = marks; });
  }

 private:
  BlockMotion code_candidate(const BPlace& place, size_t candidate) {
    size_t i = 0;
    while (i + 1 < place.candidate_count &&
           coder_.adaptive(contexts_.candidate[i], candidate > i)) {
      ++i;
    }
    return place.candidates[i];
  }

  BlockMotion code_directions(const BPlace& place, const BlockMotion& actual, uint8_t& marks) {
    const size_t size = size_class(place.square);
    BlockMotion motion;
    motion.direction = kBothReferences;
    if (!coder_.adaptive(contexts_.both[size][place.near_both],
                         actual.direction == kBothReferences)) {
      const bool second =
          coder_.adaptive(contexts_.second[place.side], actual.direction == kSecondReference);
      motion.direction = second ? kSecondReference : kFirstReference;
    }
    marks = 0;
    for (size_t i = 0; i < 2; ++i) {
      if (!motion.uses(i)) continue;
      bool differs = false;
      VectorContexts& contexts = contexts_.vector[i];
      motion.mv[i] = code_vector(coder_, contexts, contexts.same[size][place.near_differs[i]],
                                 place.predictor[i], actual.mv[i], differs);
      if (differs) marks = static_cast<uint8_t>(marks | kMarkFirstDiffers << i);
    }
    return motion;
  }
};

// The split flags of a superblock, and its squares.
template <SymbolCoder Coder, class Squares>
void code_superblock_motion(Coder& coder, Squares& squares, MotionField& field,
                            const SuperblockRect& tile, int sx, int sy) {
  const MotionSquare superblock{kSuperblockSubblocks * sx, kSuperblockSubblocks * sy,
                                kSuperblockSubblocks};
  uint8_t& how = field.split_at(sx, sy);
  const int wanted = how;
  const size_t near = count_near(tile, superblock, [&](int cx, int cy) {
    return field.split_at(cx / kSuperblockSubblocks, cy / kSuperblockSubblocks) != 0;
  });
  how = coder.adaptive(squares.split().superblock[near], wanted != 0) ? 1 : 0;
  if (how == 0) {
    squares.code(superblock);
    return;
  }
  field.for_quarters(superblock, [&](const MotionSquare& block, int i) {
    const int bit = 1 << (1 + i);
    const size_t subblocks =
        count_near(tile, block, [&](int cx, int cy) { return field.subblock_split_at(cx, cy); });
    if (!coder.adaptive(squares.split().block[subblocks], (wanted & bit) != 0)) {
      squares.code(block);
      return;
    }
    how = static_cast<uint8_t>(how | bit);
    field.for_quarters(block, [&](const MotionSquare& subblock, int) { squares.code(subblock); });
  });
}

// All motion of a tile.
template <SymbolCoder Coder>
void code_motion(Coder& coder, MotionContexts& contexts, const SuperblockRect& tile,
                 MotionSymbols& motion) {
  coder.motion();
  const auto code_all = [&](auto squares) {
    for (int sy = tile.y_begin; sy < tile.y_end; ++sy) {
      for (int sx = tile.x_begin; sx < tile.x_end; ++sx) {
        code_superblock_motion(coder, squares, motion.field, tile, sx, sy);
      }
      coder.checkpoint();
    }
  };
  if (motion.field.is_b()) {
    code_all(BSquareCoder<Coder>(coder, contexts.b, motion, tile));
  } else {
    code_all(PSquareCoder<Coder>(coder, contexts.p, motion, tile));
  }
}

}  // namespace bsq
