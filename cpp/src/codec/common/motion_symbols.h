// The motion symbols of a tile: order and contexts, once for encoder and decoder
// (docs/bitstream.md sections 4, 4.6 and 4.8).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/status.h"
#include "codec/common/geometry.h"
#include "codec/common/motion_contexts.h"
#include "codec/common/symbol_coder.h"
#include "motion/b_motion.h"
#include "motion/motion_field.h"
#include "motion/vector_place.h"

namespace bsq {

// Motion of one frame as it is coded: vectors, and what the contexts of later squares need.
struct MotionSymbols {
  MotionField field;
  std::vector<uint8_t> marks;  // per 8x8 sub-block: kMarkFirstDiffers..
  ReferenceDistances distances;
  TemporalMotion temporal;
  std::array<const MotionField*, 2> references{};  // their motion; null where they have none

  MotionSymbols() = default;
  explicit MotionSymbols(const Geometry& g)
      : field(g.coded_width(), g.coded_height()), marks(field.mv.size()) {}

  // Contexts of the split flag of a square that consider the references.
  size_t variety(const MotionSquare& square) const {
    return 4 * motion_variety(references[0], square) + motion_variety(references[1], square);
  }
};

// What the sub-blocks to the left of and above a square's first one say, added; 0 outside the tile.
template <class Fn>
size_t count_near(const SuperblockRect& tile, const MotionSquare& square, const Fn& fn) {
  const bool left = square.x > kSuperblockSubblocks * tile.x_begin && fn(square.x - 1, square.y);
  const bool above = square.y > kSuperblockSubblocks * tile.y_begin && fn(square.x, square.y - 1);
  return size_t{left} + size_t{above};
}

// A vector by its difference from the predictor. `near`: of the neighbours A and B, how many differ
// from theirs; `differs` becomes whether this one does.
template <SymbolCoder Coder>
Mv code_vector(Coder& coder, const VectorBits& bits, size_t near, Mv predictor, Mv actual,
               bool& differs) {
  differs = !coder.adaptive(bits.same(near), actual == predictor);
  if (!differs) return predictor;
  const int dx = code_number(coder, actual.x - predictor.x, [&](const PartialNumber& number) {
    return bits.difference(number, std::nullopt);
  });
  const int dy = code_number(coder, actual.y - predictor.y, [&](const PartialNumber& number) {
    return bits.difference(number, dx);
  });
  const int x = predictor.x + dx;
  const int y = predictor.y + dy;
  if (x < kMvMin || x > kMvMax || y < kMvMin || y > kMvMax) {
    throw Error(BSQ_ERROR_BITSTREAM, "a motion vector is out of range");
  }
  return {static_cast<int16_t>(x), static_cast<int16_t>(y)};
}

// What the coders of squares have in common.
template <SymbolCoder Coder>
class SquareCoder {
 public:
  SquareCoder(Coder& coder, MotionContexts& contexts, MotionSymbols& motion,
              const SuperblockRect& tile)
      : coder_(coder), contexts_(contexts), motion_(motion), tile_(tile) {}

 protected:
  void mark(const MotionSquare& square, uint8_t marks) {
    motion_.field.for_subblocks(square, [&](int cx, int cy) {
      motion_.marks[motion_.field.subblock_index(cx, cy)] = marks;
    });
  }

  Coder& coder_;
  MotionContexts& contexts_;
  MotionSymbols& motion_;
  const SuperblockRect tile_;
};

// Codes the squares of a P frame: a vector each, left in the field.
template <SymbolCoder Coder>
class PSquareCoder : public SquareCoder<Coder> {
  using Base = SquareCoder<Coder>;
  using Base::coder_, Base::contexts_, Base::motion_, Base::tile_, Base::mark;

 public:
  using Base::Base;

  void code(const MotionSquare& square) {
    MotionField& field = motion_.field;
    const size_t near = count_near(tile_, square, [&](int cx, int cy) {
      return motion_.marks[field.subblock_index(cx, cy)] != 0;
    });
    const std::optional<BlockMotion> temporal = motion_.temporal.of(field, square);
    const VectorPlace place =
        vector_place(field, neighbour_places(field, tile_, square), square, 0,
                     temporal ? std::optional(temporal->mv[0]) : std::nullopt, std::nullopt);
    const VectorBits bits(contexts_, vector_kind(false, kFirstReference, 0), size_class(square),
                          place);
    bool differs = false;
    const Mv v =
        code_vector(coder_, bits, near, place.predictor, field.mv_at(square.x, square.y), differs);
    field.set(square, v);
    mark(square, differs ? kMarkFirstDiffers : uint8_t{0});
  }
};

// Codes the squares of a B frame: direction and vectors each, or a merge candidate.
template <SymbolCoder Coder>
class BSquareCoder : public SquareCoder<Coder> {
  using Base = SquareCoder<Coder>;
  using Base::coder_, Base::contexts_, Base::motion_, Base::tile_, Base::mark;

 public:
  using Base::Base;

  // An encoder merges a square wherever there is a candidate for its motion.
  void code(const MotionSquare& square) {
    MotionField& field = motion_.field;
    const BPlace place = b_place(field, motion_.marks, tile_, square, motion_.temporal);
    const BlockMotion actual = block_motion(field, field.subblock_index(square.x, square.y));
    const size_t candidate = place.find(actual);
    const bool merged = coder_.adaptive(merged_bit(place), candidate < place.candidate_count);
    uint8_t marks = kMarkMerged;
    const BlockMotion motion =
        (merged ? code_candidate(place, candidate) : code_directions(place, actual, marks))
            .completed(motion_.distances);
    set_block_motion(field, square, motion);
    mark(square, marks);
  }

 private:
  using C = MotionContexts;

  auto merged_bit(const BPlace& place) {
    const size_t size = size_class(place.square);
    const size_t near = place.near_merged;
    int moved = VectorPlace::kNoTemporal;
    if (place.temporal) {
      moved = std::max(distance_class(place.temporal->mv[0], place.predictor[0]),
                       distance_class(place.temporal->mv[1], place.predictor[1]));
    }
    return contexts_.merged.bit(
        0, {size * C::kNear + near,
            (size * C::kCandidates + place.candidate_count - 1) * C::kNear + near,
            static_cast<size_t>(moved) * C::kSizes + size});
  }

  BlockMotion code_candidate(const BPlace& place, size_t candidate) {
    size_t i = 0;
    const auto bit = [&] {
      const size_t direction = place.candidates[i].direction;
      return contexts_.candidate.bit(
          i,
          {i,
           (i * C::kCandidates + place.candidate_count - 1) * C::kSizes + size_class(place.square),
           (i * C::kOrigins + place.origin[i]) * 3 + direction - 1});
    };
    while (i + 1 < place.candidate_count && coder_.adaptive(bit(), candidate > i)) ++i;
    return place.candidates[i];
  }

  // Of the neighbour A or B; 0: there is none.
  size_t direction_of(const BPlace& place, size_t neighbour) const {
    const int at = place.neighbours.at[neighbour];
    return at < 0 ? 0 : motion_.field.direction[static_cast<size_t>(at)];
  }

  // `v` into the first reference as it would be into the second.
  Mv mirrored(Mv v) const { return scale_mv(v, -motion_.distances.forth, motion_.distances.back); }

  uint8_t code_direction(const BPlace& place, uint8_t actual) {
    const size_t size = size_class(place.square);
    const size_t near =
        (size * C::kDirections + direction_of(place, 0)) * C::kDirections + direction_of(place, 1);
    const auto apart =
        static_cast<size_t>(distance_class(mirrored(place.predictor[0]), place.predictor[1]));
    const bool both = coder_.adaptive(
        contexts_.both.bit(0, {size * C::kNear + place.near_both, near, apart * C::kSizes + size}),
        actual == kBothReferences);
    if (both) return kBothReferences;
    const bool second =
        coder_.adaptive(contexts_.second.bit(0, {place.side, near}), actual == kSecondReference);
    return second ? kSecondReference : kFirstReference;
  }

  BlockMotion code_directions(const BPlace& place, const BlockMotion& actual, uint8_t& marks) {
    marks = 0;
    BlockMotion motion;
    motion.direction = code_direction(place, actual.direction);
    for (size_t i = 0; i < 2; ++i) {
      if (!motion.uses(i)) continue;
      std::optional<Mv> other;
      if (motion.direction == kBothReferences && i == 1) other = mirrored(motion.mv[0]);
      const VectorPlace vector =
          vector_place(motion_.field, place.neighbours, place.square, i,
                       place.temporal ? std::optional(place.temporal->mv[i]) : std::nullopt, other);
      const VectorBits bits(contexts_, vector_kind(true, motion.direction, i),
                            size_class(place.square), vector);
      bool differs = false;
      motion.mv[i] = code_vector(coder_, bits, place.near_differs[i], place.predictor[i],
                                 actual.mv[i], differs);
      if (differs) marks = static_cast<uint8_t>(marks | kMarkFirstDiffers << i);
    }
    return motion;
  }
};

// The split flags of superblocks, and their squares.
template <SymbolCoder Coder, class Squares>
class SuperblockMotionCoder {
 public:
  SuperblockMotionCoder(Coder& coder, MotionContexts& contexts, MotionSymbols& motion,
                        const SuperblockRect& tile)
      : coder_(coder),
        contexts_(contexts),
        motion_(motion),
        field_(motion.field),
        tile_(tile),
        is_b_(motion.field.is_b() ? 1 : 0),
        squares_(coder, contexts, motion, tile) {}

  void code(int sx, int sy) {
    const MotionSquare superblock{kSuperblockSubblocks * sx, kSuperblockSubblocks * sy,
                                  kSuperblockSubblocks};
    uint8_t& how = field_.split_at(sx, sy);
    const int wanted = how;
    how = coder_.adaptive(superblock_bit(superblock), wanted != 0) ? 1 : 0;
    if (how == 0) {
      squares_.code(superblock);
      return;
    }
    field_.for_quarters(superblock, [&](const MotionSquare& block, int i) {
      const int bit = 1 << (1 + i);
      if (!coder_.adaptive(block_bit(block), (wanted & bit) != 0)) {
        squares_.code(block);
        return;
      }
      how = static_cast<uint8_t>(how | bit);
      field_.for_quarters(block,
                          [&](const MotionSquare& subblock, int) { squares_.code(subblock); });
    });
  }

 private:
  using C = MotionContexts;

  template <class Contexts>
  auto split_bit(Contexts& contexts, const MotionSquare& square, size_t near) {
    return contexts.bit(is_b_,
                        {is_b_ * C::kNear + near,
                         (is_b_ * C::kVarieties + motion_.variety(square)) * C::kNear + near});
  }
  auto superblock_bit(const MotionSquare& superblock) {
    return split_bit(
        contexts_.superblock_split, superblock, count_near(tile_, superblock, [&](int cx, int cy) {
          return field_.split_at(cx / kSuperblockSubblocks, cy / kSuperblockSubblocks) != 0;
        }));
  }
  auto block_bit(const MotionSquare& block) {
    return split_bit(contexts_.block_split, block, count_near(tile_, block, [&](int cx, int cy) {
                       return field_.subblock_split_at(cx, cy);
                     }));
  }

  Coder& coder_;
  MotionContexts& contexts_;
  MotionSymbols& motion_;
  MotionField& field_;
  const SuperblockRect tile_;
  const size_t is_b_;
  Squares squares_;
};

// All motion of a tile.
template <SymbolCoder Coder>
void code_motion(Coder& coder, MotionContexts& contexts, const SuperblockRect& tile,
                 MotionSymbols& motion) {
  coder.motion();
  const auto code_all = [&](auto superblocks) {
    for (int sy = tile.y_begin; sy < tile.y_end; ++sy) {
      for (int sx = tile.x_begin; sx < tile.x_end; ++sx) superblocks.code(sx, sy);
      coder.checkpoint();
    }
  };
  if (motion.field.is_b()) {
    code_all(SuperblockMotionCoder<Coder, BSquareCoder<Coder>>(coder, contexts, motion, tile));
  } else {
    code_all(SuperblockMotionCoder<Coder, PSquareCoder<Coder>>(coder, contexts, motion, tile));
  }
}

}  // namespace bsq
