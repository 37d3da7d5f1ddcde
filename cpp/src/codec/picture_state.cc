// The steps of a layer that encoder and decoder take alike.
#include "codec/picture_state.h"

#include <algorithm>
#include <utility>

#include "motion/compensate.h"

namespace bsq {

PictureState::PictureState(const Geometry& geometry,
                           const std::shared_ptr<const Networks>& networks, ThreadPool& pool)
    : motion(geometry),
      tokens(geometry.tokens_y, geometry.tokens_x, networks->layout.stages),
      active(geometry.tokens_y, geometry.tokens_x),
      current(geometry.make_frame()),
      reference(geometry.make_frame()),
      geometry_(geometry),
      networks_(networks),
      pool_(pool),
      prior_(networks, pool),
      decoder_(networks, pool),
      previous_(geometry.tokens_y, geometry.tokens_x, networks->layout.stages) {
  blocks.reserve(geometry_.blocks.size());
  for (const Block& area : geometry_.blocks) {
    const TokenRect rect = token_rect(geometry_, area);
    blocks.push_back({area, rect, BlockModels(), PriorBlock(networks, rect)});
  }
  windows.active.resize(geometry_.windows());
  windows.previous.resize(geometry_.windows());
}

void PictureState::begin_keyframe() {
  const auto middle = static_cast<uint16_t>(1 << (geometry_.bit_depth - 1));
  for (int p = 0; p < geometry_.plane_count; ++p) {
    const PlaneView plane = current.planes[p].view();
    for (int y = 0; y < plane.height; ++y) std::fill_n(plane.row(y), plane.width, middle);
  }
  previous_.clear();
  std::fill(windows.previous.begin(), windows.previous.end(), uint8_t{0});
  for (BlockState& block : blocks) block.models = BlockModels();
}

void PictureState::compensate() {
  pool_.parallel_for(static_cast<size_t>(geometry_.windows_y), [&](size_t row) {
    const int y = static_cast<int>(row);
    motion_compensate_rows(reference, motion.field, y, y + 1, current);
  });
}

void PictureState::list_active(int q, const LayerPlace& place) {
  active.set(windows.active);
  if (count() == 0) return;
  side.resize(count() * kSideVector);
  // Networks of numerics 1 know nothing but the first layer of a keyframe.
  const LayerPlace told =
      networks_->config.numerics > 1 ? place : LayerPlace{place.first_of_keyframe};
  side_vectors(current, active, q, told, pool_, side.data());
}

void PictureState::run_trunk() {
  if (count() == 0) return;
  const TokenLayout& layout = networks_->layout;
  vectors_.resize(count() * static_cast<size_t>(layout.width()));
  token_vectors(layout, previous_, active, pool_, vectors_.data());
  flag_logits.resize(count() * static_cast<size_t>(layout.flags()));
  prior_.trunk(active, vectors_.data(), side.data(), flag_logits.data());
}

void PictureState::begin_bits() {
  stages_.resize(count());
  for (size_t i = 0; i < count(); ++i) {
    const TokenPosition at = active.tokens()[i];
    stages_[i] = tokens.stages[tokens.at(at.y, at.x)];
  }
  for (BlockState& block : blocks) block.prior.begin_layer(prior_, active, stages_);
}

void PictureState::run_decoder() {
  if (count() == 0) return;
  const TokenLayout& layout = networks_->layout;
  vectors_.resize(count() * static_cast<size_t>(layout.width()));
  token_vectors(layout, tokens, active, pool_, vectors_.data());
  output.resize(count() * kSampleVector);
  decoder_.decode(active, vectors_.data(), side.data(), output.data());
}

void PictureState::end_layer(int q, bool decoded) {
  if (!decoded) run_decoder();
  if (count() != 0) reconstruct(output.data(), active, q, pool_, current);
  std::swap(tokens, previous_);
  std::swap(windows.active, windows.previous);
}

void PictureState::end_picture() { std::swap(current, reference); }

}  // namespace bsq
