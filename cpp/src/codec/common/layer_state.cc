// The steps of a layer on the processor.
#include "codec/common/layer_state.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "base/section_clock.h"
#include "codec/common/base_frame.h"
#include "codec/common/prediction_side.h"
#include "motion/compensate.h"

namespace bsq {

namespace {

// Vectors so many quarter samples apart or more leave an edge: docs/bitstream.md section 4.4.
constexpr int kMovedApart = 4;

bool far_apart(Mv a, Mv b) {
  return std::abs(a.x - b.x) >= kMovedApart || std::abs(a.y - b.y) >= kMovedApart;
}

bool moved_apart(const MotionField& field, size_t a, size_t b) {
  if (!field.is_b()) return far_apart(field.mv[a], field.mv[b]);
  const uint8_t direction = field.direction[a];
  if (direction != field.direction[b]) return true;
  return ((direction & kFirstReference) != 0 && far_apart(field.mv[a], field.mv[b])) ||
         ((direction & kSecondReference) != 0 && far_apart(field.second[a], field.second[b]));
}

}  // namespace

LayerNetworks::LayerNetworks(const Geometry& geometry, const std::shared_ptr<const Networks>& set,
                             ThreadPool& pool)
    : prior(set, pool), decoder(set, pool) {
  for (const SuperblockRect& area : geometry.tiles) {
    tiles.emplace_back(set, token_rect(geometry, area));
  }
}

LayerState::LayerState(const Geometry& geometry, const NetworkSets& networks, ThreadPool& pool,
                       bool is_base)
    : LayerStateBase(geometry, networks.keyframes->layout.stages, pool),
      current(geometry.make_frame()),
      keyframes_(geometry, networks.keyframes, pool),
      previous_(geometry.tokens_y, geometry.tokens_x, networks.keyframes->layout.stages),
      coded_(geometry.tokens()),
      differences_(is_base ? 0 : geometry.tokens()),
      prediction_side_(geometry.tokens() * kPredictionSide) {
  edges_ = {geometry.tokens_x, geometry.tokens_y, std::vector<int16_t>(geometry.tokens()),
            std::vector<int16_t>(geometry.tokens())};
  for (const SuperblockRect& area : geometry_.tiles) {
    tiles.push_back({{area, token_rect(geometry_, area), TileContexts()}});
  }
  if (!is_base) {
    predicted_ = std::make_unique<LayerNetworks>(geometry, networks.predicted, pool);
    wiener_ = std::make_unique<WienerFilter>(geometry_);
    base_ = std::make_unique<LayerState>(base_geometry(geometry_), networks, pool_, true);
  }
}

void LayerState::begin_frame(const FrameRole& role) {
  begin_symbols(role);
  networks_ = role.keyframe ? &keyframes_ : predicted_.get();
  for (size_t i = 0; i < tiles.size(); ++i) tiles[i].prior = &networks_->tiles[i];
  std::fill(coded_.begin(), coded_.end(), uint8_t{0});
  if (!role.keyframe) {
    previous_ = held(role.coding)->tokens;
    return;
  }
  previous_.clear();
  std::fill(prediction_side_.begin(), prediction_side_.end(), int16_t{0});
  const auto middle = static_cast<uint16_t>(1 << (geometry_.bit_depth - 1));
  for (int p = 0; p < geometry_.plane_count; ++p) {
    const PlaneView plane = current.planes[p].view();
    for (int y = 0; y < plane.height; ++y) std::fill_n(plane.row(y), plane.width, middle);
  }
}

void LayerState::predict_from_base() {
  const SectionScope scope(Section::kPrediction);
  enlarge(base_->current, base_->geometry(), pool_, current);
}

void LayerState::compensate() {
  const SectionScope scope(Section::kPrediction);
  const ReferenceFrames references{&reference(0).frame,
                                   role_.is_b() ? &reference(1).frame : nullptr};
  pool_.parallel_rows(static_cast<size_t>(geometry_.superblocks_y), [&](size_t row) {
    const int y = static_cast<int>(row);
    motion_compensate_rows(references, motion.field, y, y + 1, current, differences_);
    prediction_side_row(motion.field, differences_, geometry_.bit_depth, y, prediction_side_);
  });
}

void LayerState::list_active(int q, const LayerPlace& place) {
  const SectionScope scope(Section::kSamples);
  active.set(superblocks.active, sample_coded);
  if (count() == 0) return;
  side.resize(count() * kSideVector);
  side_vectors(current, active, steps(q), place, prediction_side_, pool_, side.data());
}

void LayerState::run_trunk() {
  if (count() == 0) return;
  const TokenLayout& layout = networks_->prior.networks().layout;
  vectors_.resize(count() * static_cast<size_t>(layout.width()));
  token_vectors(layout, previous_, active, pool_, vectors_.data());
  flag_logits.resize(count() * static_cast<size_t>(layout.flags()));
  networks_->prior.trunk(active, vectors_.data(), side.data(), flag_logits.data());
}

void LayerState::begin_bits() {
  stages_.resize(count());
  for (size_t i = 0; i < count(); ++i) {
    const TokenPosition at = active.tokens()[i];
    stages_[i] = tokens.stages[tokens.at(at.y, at.x)];
  }
  for (TileState& tile : tiles) tile.prior->begin_layer(networks_->prior, active, stages_);
}

void LayerState::run_decoder() {
  if (count() == 0) return;
  const TokenLayout& layout = networks_->prior.networks().layout;
  vectors_.resize(count() * static_cast<size_t>(layout.width()));
  token_vectors(layout, tokens, active, pool_, vectors_.data());
  output.resize(count() * kSampleVector);
  networks_->decoder.decode(active, vectors_.data(), side.data(), output.data());
}

void LayerState::end_layer(int q, bool decoded) {
  if (!decoded) run_decoder();
  if (count() != 0) {
    const SectionScope scope(Section::kSamples, count());
    reconstruct(output.data(), active, steps(q), pool_, current);
  }
  for (size_t i = 0; i < coded_.size(); ++i) {
    coded_[i] = static_cast<uint8_t>(coded_[i] | (tokens.stages[i] != 0 ? 1 : 0));
  }
  std::swap(tokens, previous_);
  superblocks.end_layer();
}

// q at the edge between the token and the one that is so far to the left or above.
int16_t LayerState::edge_step(const TokenSteps& steps, int y, int x, int up, int left) const {
  const size_t here = geometry_.token_index(x, y);
  const size_t there = geometry_.token_index(x - left, y - up);
  if (sample_coded[here] != 0 || sample_coded[there] != 0) return DeblockEdges::kNoEdge;
  if (!role_.keyframe && coded_[here] == 0 && coded_[there] == 0 &&
      !moved_apart(motion.field, here, there)) {
    return DeblockEdges::kNoEdge;
  }
  return static_cast<int16_t>((steps.at(y, x) + steps.at(y - up, x - left) + 1) >> 1);
}

void LayerState::deblock(int q) {
  const SectionScope scope(Section::kDeblocking);
  const TokenSteps all = steps(q);
  pool_.parallel_rows(static_cast<size_t>(geometry_.tokens_y), [&](size_t row) {
    const int y = static_cast<int>(row);
    for (int x = 0; x < geometry_.tokens_x; ++x) {
      const size_t at = geometry_.token_index(x, y);
      constexpr int16_t kNone = DeblockEdges::kNoEdge;
      edges_.left[at] = x > 0 ? edge_step(all, y, x, 0, 1) : kNone;
      edges_.above[at] = y > 0 ? edge_step(all, y, x, 1, 0) : kNone;
    }
  });
  bsq::deblock(edges_, pool_, current);
  prepared_ = false;
}

const WienerFilter& LayerState::prepare_filter() {
  const SectionScope scope(Section::kWiener);
  for (int p = 0; p < geometry_.plane_count; ++p) wiener_->prepare(p, current, pool_);
  prepared_ = true;
  return *wiener_;
}

// Puts the sample-coded tokens back.
void LayerState::keep_samples(int plane) {
  const int size = plane == 0 ? kTokenSize : kTokenSize / 2;
  const PlaneView to = current.planes[plane].view();
  for (int y = 0; y < geometry_.tokens_y; ++y) {
    for (int x = 0; x < geometry_.tokens_x; ++x) {
      if (sample_coded[geometry_.token_index(x, y)] == 0) continue;
      for (int i = y * size; i < (y + 1) * size; ++i) {
        std::copy_n(wiener_->row(plane, i) + x * size, size, to.row(i) + x * size);
      }
    }
  }
}

void LayerState::filter() {
  const SectionScope scope(Section::kWiener);
  const bool has_samples = this->has_samples();
  for (int p = 0; p < geometry_.plane_count; ++p) {
    if (!wiener_sets(p, sets_)) continue;
    if (!prepared_) wiener_->prepare(p, current, pool_);
    wiener_->run(p, sets_, pool_, current);
    if (has_samples) keep_samples(p);
  }
}

void LayerState::end_frame() {
  std::shared_ptr<Held> done =
      spare([&] { return std::make_shared<Held>(geometry_, tokens.max_stages); });
  std::swap(current, done->frame);
  if (role_.hold >= 0) done->tokens = previous_;
  end_symbols(std::move(done));
}

}  // namespace bsq
