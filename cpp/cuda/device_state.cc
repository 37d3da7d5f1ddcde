// The steps of a layer on a device.
#include "cuda/device_state.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <memory>
#include <utility>

#include "codec/common/base_frame.h"
#include "motion/interpolate.h"
#include "motion/overlap.h"

namespace bsq::cuda {

static_assert(sizeof(Position) == sizeof(TokenPosition) && sizeof(Vector) == sizeof(Mv));

DeviceFrame::DeviceFrame(Device& device, const Geometry& g) {
  const int chroma = g.plane_count == 1 ? 0 : 2;
  const size_t luma_size = g.tokens() * kTokenSize * kTokenSize;
  samples_ = DeviceArray<uint16_t>(device, luma_size + static_cast<size_t>(chroma) * luma_size / 4);
  planes_.count = g.plane_count;
  planes_.bit_depth = g.bit_depth;
  uint16_t* next = samples_.data();
  for (int p = 0; p < g.plane_count; ++p) {
    const int divisor = p == 0 ? 1 : 2;
    planes_.data[p] = next;
    planes_.width[p] = g.coded_width() / divisor;
    planes_.height[p] = g.coded_height() / divisor;
    next += static_cast<ptrdiff_t>(planes_.width[p]) * planes_.height[p];
  }
}

std::vector<TokenRect> DeviceState::rects(const Geometry& geometry) {
  std::vector<TokenRect> rects;
  rects.reserve(geometry.tiles.size());
  for (const SuperblockRect& area : geometry.tiles) rects.push_back(token_rect(geometry, area));
  return rects;
}

DeviceState::DeviceState(const Geometry& geometry, const WeightSets& sets, Device& device,
                         ThreadPool& pool, bool encodes, bool is_base)
    : LayerStateBase(geometry, sets.keyframes->layout().stages, pool),
      flag_logits(device,
                  geometry.tokens() * static_cast<size_t>(sets.keyframes->layout().flags())),
      sets_(sets),
      weights_(sets_.keyframes.get()),
      device_(device),
      runner_(device, sets_, geometry, encodes),
      prior_(device, sets_, geometry, rects(geometry), runner_),
      current_(std::make_unique<DeviceFrame>(device, geometry)),
      fields_(device, geometry, weights_->layout().stages),
      previous_(device, geometry, weights_->layout().stages),
      coded_(device, geometry.tokens()),
      positions_(device, geometry.tokens()),
      index_(device, geometry.tokens()),
      delta_q_(device, geometry.superblocks()),
      vectors_{Mirror<Vector>(device, geometry.tokens()),
               Mirror<Vector>(device, geometry.tokens())},
      direction_(device, geometry.tokens()),
      prediction_side_(device, is_base ? 0 : geometry.tokens() * kPredictionSide),
      sample_marks_(device, geometry.tokens()),
      left_edges_(device, geometry.tokens()),
      upper_edges_(device, geometry.tokens()) {
  for (const SuperblockRect& area : geometry_.tiles) {
    tiles.push_back({area, token_rect(geometry_, area), TileContexts()});
  }
  if (!is_base) {
    wiener_ = std::make_unique<DeviceWiener>(device_, geometry_);
    base_ = std::make_unique<DeviceState>(base_geometry(geometry_), sets_, device_, pool_, encodes,
                                          true);
  }
}

void DeviceState::begin_frame(const FrameRole& role) {
  begin_symbols(role);
  weights_ = &sets_.of(role.keyframe);
  runner_.use(*weights_);
  prior_.use(*weights_);
  coded_.clear();
  if (!role.keyframe) {
    copy_tokens(held(role.coding)->tokens, previous_);
    return;
  }
  const FillKernel fill{current_->planes(), 1 << (geometry_.bit_depth - 1)};
  device_.launch(fill);
  previous_.stages.clear();
}

void DeviceState::copy_tokens(const DeviceTokens& from, DeviceTokens& to) {
  device_.copy(to.stages.data(), from.stages.data(), to.stages.size());
  device_.copy(to.bits.data(), from.bits.data(), to.bits.size() * sizeof(uint32_t));
}

void DeviceState::end_frame() {
  std::shared_ptr<Held> done =
      spare([&] { return std::make_shared<Held>(device_, geometry_, weights_->layout().stages); });
  std::swap(current_, done->frame);
  if (role_.hold >= 0) copy_tokens(previous_, done->tokens);
  end_symbols(std::move(done));
}

void DeviceState::predict_from_base() {
  const Geometry& g = base_->geometry();
  EnlargeKernel kernel{base_->current_->planes(), current_->planes(), 0, 0, 0, {}};
  std::memcpy(kernel.filter, kBaseFilters, sizeof kernel.filter);
  static_assert(sizeof kernel.filter == sizeof kBaseFilters);
  for (int p = 0; p < geometry_.plane_count; ++p) {
    kernel.plane = p;
    kernel.width = g.plane_width(p);
    kernel.height = g.plane_height(p);
    device_.launch(kernel);
  }
}

void DeviceState::send_motion() {
  const MotionField& field = motion.field;
  device_.wait_mark();
  for (size_t i = 0; i < (field.is_b() ? 2U : 1U); ++i) {
    const std::vector<Mv>& vectors = field.vectors(i);
    std::memcpy(vectors_[i].data(), vectors.data(), vectors.size() * sizeof(Mv));
    vectors_[i].send(device_, vectors.size());
  }
  if (field.is_b()) {
    std::memcpy(direction_.data(), field.direction.data(), field.direction.size());
    direction_.send(device_, field.direction.size());
  }
  device_.mark();
}

void DeviceState::compensate() {
  send_motion();
  const bool is_b = role_.is_b();
  CompensateKernel kernel{{reference(0).frame->planes(), reference(is_b ? 1 : 0).frame->planes()},
                          current_->planes(),
                          {vectors_[0].device(), vectors_[1].device()},
                          is_b ? direction_.device() : nullptr,
                          geometry_.tokens_x,
                          geometry_.tokens_y,
                          {},
                          {},
                          {},
                          {},
                          prediction_side_.data()};
  const auto put = [](auto& to, const auto& from) {
    static_assert(sizeof to == sizeof from);
    std::memcpy(&to, &from, sizeof to);
  };
  put(kernel.luma_filter, kLumaFilter);
  put(kernel.chroma_filter, kChromaFilter);
  put(kernel.luma_parts, kLumaParts);
  put(kernel.chroma_parts, kChromaParts);
  device_.launch(kernel);
}

Frame& DeviceState::host_samples() {
  if (host_samples_.plane_count == 0) host_samples_ = geometry_.make_frame();
  const Planes& from = current_->planes();
  for (int p = 0; p < from.count; ++p) {
    device_.download(host_samples_.planes[p].view().data, from.data[p],
                     static_cast<size_t>(from.bytes(p)));
  }
  device_.wait();
  return host_samples_;
}

void DeviceState::store_samples() {
  const Planes& to = current_->planes();
  for (int p = 0; p < to.count; ++p) {
    device_.upload(to.data[p], host_samples_.planes[p].view().data,
                   static_cast<size_t>(to.bytes(p)));
  }
  device_.wait_mark();
  std::copy(sample_coded.begin(), sample_coded.end(), sample_marks_.data());
  sample_marks_.send(device_, sample_coded.size());
  device_.mark();
}

Steps DeviceState::steps(int q) const {
  return {q, geometry_.chroma_crf_offset, delta_q_.device(), geometry_.superblocks_x};
}

// After wait_mark().
void DeviceState::put_delta_q() {
  std::copy_n(superblocks.delta_q.data(), superblocks.delta_q.size(), delta_q_.data());
  delta_q_.send(device_, superblocks.delta_q.size());
}

void DeviceState::send_delta_q() {
  device_.wait_mark();
  put_delta_q();
  device_.mark();
}

void DeviceState::keep_delta_q() {
  superblocks.keep_delta_q();
  send_delta_q();
}

void DeviceState::list_active(int q, const LayerPlace& place) {
  active.set(superblocks.active, sample_coded);
  device_.wait_mark();
  put_delta_q();
  const auto count = static_cast<size_t>(active.count());
  if (count > 0) {
    std::memcpy(positions_.data(), active.tokens().data(), count * sizeof(Position));
    for (int y = 0; y < geometry_.tokens_y; ++y) {
      int32_t* row = index_.data() + geometry_.token_index(0, y);
      for (int x = 0; x < geometry_.tokens_x; ++x) row[x] = active.index(y, x);
    }
    positions_.send(device_, count);
    index_.send(device_, geometry_.tokens());
  }
  device_.mark();
  const SideKernel kernel{current_->planes(),
                          positions_.device(),
                          active.count(),
                          steps(q),
                          place.first_of_keyframe ? 256 : 0,
                          place.later ? 256 : 0,
                          place.above,
                          role_.keyframe ? nullptr : prediction_side_.data(),
                          geometry_.tokens_x,
                          runner_.side(),
                          runner_.side_pitch()};
  device_.launch(kernel);
}

// Token vectors of the active tokens.
void DeviceState::expand(const DeviceTokens& fields) {
  const ExpandTokensKernel kernel{fields.arrays(),   weights_->layout().stages, active.count(),
                                  nullptr,           positions_.device(),       geometry_.tokens_x,
                                  runner_.vectors(), runner_.vector_pitch()};
  device_.launch(kernel);
}

void DeviceState::run_trunk() {
  if (active.count() == 0) return;
  queue_trunk();
  device_.wait();
}

void DeviceState::queue_trunk() {
  if (active.count() == 0) return;
  expand(previous_);
  runner_.trunk(active_list(), flag_logits.device());
  flag_logits.fetch(device_, static_cast<size_t>(active.count()) *
                                 static_cast<size_t>(weights_->layout().flags()));
}

void DeviceState::begin_bits() {
  fields_.stages.clear();
  if (active.count() == 0) return;
  prior_.begin_layer(active, active_list(), tokens, fields_.arrays(), coded_.data());
}

void DeviceState::run_decoder() {
  if (active.count() == 0) return;
  expand(fields_);
  runner_.synthesis(active_list());
}

void DeviceState::end_layer(int q, bool decoded) {
  if (!decoded) run_decoder();
  if (active.count() != 0) {
    const ReconstructKernel kernel{runner_.output(),
                                   NetworkRunner::output_pitch(),
                                   positions_.device(),
                                   active.count(),
                                   steps(q),
                                   weights_->steps(),
                                   current_->planes()};
    device_.launch(kernel);
  }
  std::swap(fields_, previous_);
  superblocks.end_layer();
}

void DeviceState::deblock(int q) {
  const EdgeKernel edges{steps(q),
                         role_.keyframe,
                         coded_.data(),
                         sample_marks(),
                         vectors_[0].device(),
                         vectors_[1].device(),
                         role_.is_b() ? direction_.device() : nullptr,
                         geometry_.tokens_x,
                         geometry_.tokens_y,
                         left_edges_.data(),
                         upper_edges_.data()};
  device_.launch(edges);
  for (const bool vertical : {true, false}) {
    const DeblockKernel kernel{current_->planes(),
                               vertical ? left_edges_.data() : upper_edges_.data(), vertical,
                               geometry_.tokens_x, geometry_.tokens_y};
    device_.launch(kernel);
  }
}

// The choices of the tiles for a plane. Returns whether any superblock is filtered.
bool DeviceState::send_filters(int plane) {
  device_.wait_mark();
  bool any = false;
  for (size_t t = 0; t < tiles.size(); ++t) {
    const SuperblockRect& area = tiles[t].area;
    const WienerChoice& choice = tiles[t].wiener[static_cast<size_t>(plane)];
    size_t i = 0;
    for (int y = area.y_begin; y < area.y_end; ++y) {
      for (int x = area.x_begin; x < area.x_end; ++x, ++i) {
        const bool on = choice.filtered && choice.on[i] != 0;
        wiener_->numbers.data()[geometry_.superblock_index(x, y)] =
            static_cast<int16_t>(on ? static_cast<int>(t) : -1);
        any = any || on;
      }
    }
    static_assert(sizeof choice.set == WienerKernel::kClasses * WienerKernel::kTaps * 2);
    std::memcpy(wiener_->sets.data() + t * WienerKernel::kClasses * WienerKernel::kTaps,
                &choice.set, sizeof choice.set);
  }
  if (any) {
    wiener_->numbers.send(device_, wiener_->numbers.size());
    wiener_->sets.send(device_, wiener_->sets.size());
  }
  device_.mark();
  return any;
}

void DeviceState::classify() {
  const int squares_x = 2 * geometry_.tokens_x;
  const int squares_y = 2 * geometry_.tokens_y;
  const WienerDetailKernel details{wiener_->input.planes(), squares_x, squares_y,
                                   wiener_->details.data()};
  device_.launch(details);
  const WienerClassKernel classes{wiener_->details.data(), squares_x, squares_y,
                                  geometry_.bit_depth, wiener_->classes.data()};
  device_.launch(classes);
}

void DeviceState::filter() {
  const Planes& from = wiener_->input.planes();
  for (int p = 0; p < geometry_.plane_count; ++p) {
    if (!send_filters(p)) continue;
    device_.copy(from.data[p], current_->planes().data[p], static_cast<size_t>(from.bytes(p)));
    if (p == 0) classify();
    WienerKernel kernel{from,
                        current_->planes(),
                        p,
                        sample_marks(),
                        wiener_->numbers.device(),
                        geometry_.superblocks_x,
                        wiener_->sets.device(),
                        wiener_->classes.data(),
                        {},
                        {}};
    for (size_t i = 0; i < wiener_taps(p); ++i) {
      const WienerOffset offset = p == 0 ? kWienerLuma[i] : kWienerChroma[i];
      kernel.offsets[i][0] = static_cast<int16_t>(offset.y);
      kernel.offsets[i][1] = static_cast<int16_t>(offset.x);
      kernel.transposed[i] = kWienerTransposed[i];
    }
    device_.launch(kernel);
  }
}

}  // namespace bsq::cuda
