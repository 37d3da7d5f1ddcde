// Tokens whose samples are in the stream themselves: which those are, and their samples, with the
// contexts; once for encoder and decoder (docs/bitstream.md section 3.7).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/plane.h"
#include "codec/common/geometry.h"
#include "codec/common/sample_model.h"
#include "codec/common/symbol_coder.h"
#include "entropy/mixed_bit.h"
#include "network/token_field.h"

namespace bsq {

struct SampleContexts {
  static constexpr size_t kTypes = 2;  // 1 in keyframes
  static constexpr size_t kNear = 3;   // a count over two neighbours
  static constexpr size_t kAround = 16;

  MixedContexts<1, kTypes> tile;
  MixedContexts<1, kTypes * kNear> superblock;
  MixedContexts<1, kTypes * kAround> token;
  // A frame's own once it has samples: others that began from it keep what they have.
  std::shared_ptr<const SampleModel> model;

  // For changes, which model() then has.
  SampleModel& own_model() {
    auto own =
        model == nullptr ? std::make_shared<SampleModel>() : std::make_shared<SampleModel>(*model);
    SampleModel& changing = *own;
    model = std::move(own);
    return changing;
  }
};

// Whether tokens of the rectangle are marked.
inline bool has_marks(const Geometry& geometry, const TokenRect& rect,
                      const std::vector<uint8_t>& marks) {
  for (int y = rect.y; y < rect.y + rect.height; ++y) {
    const auto row = marks.begin() + static_cast<ptrdiff_t>(geometry.token_index(rect.x, y));
    if (std::any_of(row, row + rect.width, [](uint8_t mark) { return mark != 0; })) return true;
  }
  return false;
}

// Codes which tokens of a tile are sample-coded.
template <SymbolCoder Coder>
class SampleMarkCoder {
 public:
  // `marks`: by token of the frame, not 0 for those.
  SampleMarkCoder(Coder& coder, SampleContexts& contexts, const Geometry& geometry,
                  const SuperblockRect& tile, bool keyframe, std::vector<uint8_t>& marks)
      : coder_(coder),
        contexts_(contexts),
        geometry_(geometry),
        tile_(tile),
        type_(keyframe ? 1 : 0),
        marks_(marks) {}

  // Returns whether there are any.
  bool code() {
    coder_.flags();
    bool any = false;
    each_superblock([&](int sx, int sy) { any = any || has_marks(sx, sy); });
    any = coder_.adaptive(contexts_.tile.bit(0, {type_}), any);
    if (any) {
      each_superblock([&](int sx, int sy) { code_superblock(sx, sy); });
    }
    return any;
  }

 private:
  template <class Fn>
  void each_superblock(const Fn& fn) const {
    for (int sy = tile_.y_begin; sy < tile_.y_end; ++sy) {
      for (int sx = tile_.x_begin; sx < tile_.x_end; ++sx) fn(sx, sy);
    }
  }
  // The tokens of a superblock.
  TokenRect tokens_of(int sx, int sy) const {
    const int y = sy * kSuperblockTokens;
    const int x = sx * kSuperblockTokens;
    return {y, x, std::min(kSuperblockTokens, geometry_.tokens_y - y),
            std::min(kSuperblockTokens, geometry_.tokens_x - x)};
  }
  bool has_marks(int sx, int sy) const {
    return bsq::has_marks(geometry_, tokens_of(sx, sy), marks_);
  }
  size_t has_marks_inside(int sx, int sy) const {
    return sx >= tile_.x_begin && sy >= tile_.y_begin && has_marks(sx, sy) ? 1 : 0;
  }
  uint8_t& mark(int x, int y) { return marks_[geometry_.token_index(x, y)]; }
  uint8_t mark(int x, int y) const { return marks_[geometry_.token_index(x, y)]; }
  // 0 outside the tile.
  size_t mark_inside(int x, int y) const {
    const bool inside = x >= tile_.x_begin * kSuperblockTokens &&
                        x < std::min(tile_.x_end * kSuperblockTokens, geometry_.tokens_x) &&
                        y >= tile_.y_begin * kSuperblockTokens;
    return inside && mark(x, y) != 0 ? 1 : 0;
  }

  void code_superblock(int sx, int sy) {
    const size_t near = has_marks_inside(sx - 1, sy) + has_marks_inside(sx, sy - 1);
    const bool any = coder_.adaptive(
        contexts_.superblock.bit(0, {type_ * SampleContexts::kNear + near}), has_marks(sx, sy));
    const TokenRect rect = tokens_of(sx, sy);
    for (int y = rect.y; y < rect.y + rect.height; ++y) {
      for (int x = rect.x; x < rect.x + rect.width; ++x) {
        const bool marked = any && code_token(x, y);
        mark(x, y) = marked ? 1 : 0;
      }
    }
    coder_.checkpoint();
  }
  bool code_token(int x, int y) {
    // A token above on the right may be of a superblock that follows: it has no mark yet.
    const bool known = y % kSuperblockTokens == 0 || (x + 1) % kSuperblockTokens != 0;
    const size_t around = mark_inside(x - 1, y) + 2 * mark_inside(x, y - 1) +
                          4 * mark_inside(x - 1, y - 1) +
                          8 * (known ? mark_inside(x + 1, y - 1) : 0);
    return coder_.adaptive(contexts_.token.bit(0, {type_ * SampleContexts::kAround + around}),
                           mark(x, y) != 0);
  }

  Coder& coder_;
  SampleContexts& contexts_;
  const Geometry& geometry_;
  const SuperblockRect tile_;
  const size_t type_;
  std::vector<uint8_t>& marks_;
};

// Codes the samples of a tile's sample-coded tokens.
template <SymbolCoder Coder>
class SampleCoder {
 public:
  // `frame` holds the prediction, and receives the samples. `predicted`: it was predicted from
  // other frames.
  SampleCoder(Coder& coder, SampleModel& model, const Geometry& geometry, const TokenRect& rect,
              bool predicted, const std::vector<uint8_t>& marks, Frame& frame)
      : coder_(coder),
        model_(model),
        geometry_(geometry),
        rect_(rect),
        predicted_(predicted),
        marks_(marks),
        frame_(frame),
        middle_(static_cast<uint16_t>(1 << (frame.bit_depth - 1))) {}

  // `wanted(guess, plane, x, y)` is the value of a sample, for coders that write.
  template <class Wanted>
  void code(const Wanted& wanted) {
    coder_.samples();
    for (int plane = 0; plane < frame_.plane_count; ++plane) {
      begin_plane(plane);
      for (int ty = rect_.y; ty < rect_.y + rect_.height; ++ty) {
        if (!has_marks(geometry_, {ty, rect_.x, 1, rect_.width}, marks_)) {
          std::fill(right_.begin(), right_.end(), uint8_t{1});
          continue;
        }
        for (int y = ty * side_; y < (ty + 1) * side_; ++y) code_row(ty, y, wanted);
        coder_.checkpoint();
      }
    }
  }

 private:
  void begin_plane(int plane) {
    plane_ = plane;
    samples_ = frame_.planes[plane].view();
    side_ = plane == 0 ? kTokenSize : kTokenSize / 2;
    x_begin_ = rect_.x * side_;
    x_end_ = (rect_.x + rect_.width) * side_;
    y_begin_ = rect_.y * side_;
    right_.assign(static_cast<size_t>(x_end_ - x_begin_), 1);
  }

  template <class Wanted>
  void code_row(int ty, int y, const Wanted& wanted) {
    for (int tx = rect_.x; tx < rect_.x + rect_.width; ++tx) {
      if (marks_[geometry_.token_index(tx, ty)] == 0) {
        std::fill_n(&right_at(tx * side_), side_, uint8_t{1});
        continue;
      }
      for (int x = tx * side_; x < (tx + 1) * side_; ++x) code_sample(x, y, wanted);
    }
  }

  template <class Wanted>
  void code_sample(int x, int y, const Wanted& wanted) {
    uint16_t& sample = samples_.row(y)[x];
    const SampleModel::Prediction prediction{
        predicted_, sample, x == x_begin_ || right_at(x - 1) != 0, right_at(x) != 0};
    const SampleGuess guess =
        model_.guess(static_cast<size_t>(plane_), neighbours(x, y), prediction);
    const uint16_t value = code_value(guess, wanted(guess, plane_, x, y));
    model_.update(guess, value);
    right_at(x) = value == sample ? 1 : 0;
    sample = value;
  }

  uint16_t code_value(const SampleGuess& guess, uint16_t wanted) {
    for (size_t i = 0; i < guess.count; ++i) {
      if (coder_.adaptive(model_.candidate(guess, i), guess.values[i] == wanted)) {
        return guess.values[i];
      }
    }
    uint32_t node = 1;
    for (int level = 0; level < frame_.bit_depth; ++level) {
      const bool bit = (wanted >> (frame_.bit_depth - 1 - level) & 1) != 0;
      const bool coded =
          coder_.adaptive(model_.literal(guess, node, static_cast<size_t>(level)), bit);
      node = 2 * node + (coded ? 1 : 0);
    }
    return static_cast<uint16_t>(node - (1U << frame_.bit_depth));
  }

  // Whether the prediction of the sample in that column was right, in the row coded last.
  uint8_t& right_at(int x) { return right_[static_cast<size_t>(x - x_begin_)]; }

  SampleNeighbours neighbours(int x, int y) const {
    SampleNeighbours at{};
    const bool inside = x >= x_begin_ + 3 && x + 2 < x_end_ && y >= y_begin_ + 2;
    if (inside) {
      look(at, [&](int dx, int dy) { return samples_.row(y + dy)[x + dx]; });
    } else {
      look(at, [&](int dx, int dy) { return sample_at(x + dx, y + dy); });
    }
    if (plane_ == 0) return at;
    const ConstPlaneView luma = frame_.planes[0].view();
    at.luma = {luma.row(2 * y)[2 * x], luma.row(2 * y)[2 * x + 1], luma.row(2 * y + 1)[2 * x],
               luma.row(2 * y + 1)[2 * x + 1]};
    if (plane_ == 2) at.chroma = frame_.planes[1].view().row(y)[x];
    return at;
  }
  template <class At>
  static void look(SampleNeighbours& to, const At& at) {
    to.w = at(-1, 0);
    to.n = at(0, -1);
    to.ne = at(1, -1);
    to.nw = at(-1, -1);
    to.ww = at(-2, 0);
    to.nn = at(0, -2);
    to.nne = at(1, -2);
    to.nww = at(-2, -1);
    to.nee = at(2, -1);
    to.www = at(-3, 0);
    to.nnw = at(-1, -2);
  }
  // The middle value outside the tile.
  uint16_t sample_at(int x, int y) const {
    if (x < x_begin_ || x >= x_end_ || y < y_begin_) return middle_;
    return samples_.row(y)[x];
  }

  Coder& coder_;
  SampleModel& model_;
  const Geometry& geometry_;
  const TokenRect rect_;
  const bool predicted_;
  const std::vector<uint8_t>& marks_;
  Frame& frame_;
  const uint16_t middle_;
  int plane_ = 0;
  PlaneView samples_;
  int side_ = 0;
  int x_begin_ = 0;
  int x_end_ = 0;
  int y_begin_ = 0;
  std::vector<uint8_t> right_;
};

}  // namespace bsq
