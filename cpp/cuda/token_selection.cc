// Token selection on a device.
#include "cuda/token_selection.h"

#include <algorithm>

#include "codec/common/base_frame.h"
#include "codec/encoder/mode/decisions.h"
#include "codec/encoder/mode/quantization.h"

namespace bsq::cuda {

DeviceTokenSelection::DeviceTokenSelection(DeviceState& state, const Tuning& tuning)
    : state_(state),
      device_(state.device()),
      tuning_(tuning),
      superblocks_(device_, state.geometry().superblocks()),
      stages_(device_, state.geometry().tokens()),
      bits_(device_, state.tokens.bits.size()),
      changed_(device_, 1),
      corrections_(device_,
                   state.tiles.size() * static_cast<size_t>(state.tokens.max_stages) * kStageBits),
      latent_rows_(device_, state.geometry().tokens()),
      token_rates_(device_, state.geometry().tokens()),
      logits_(device_, state.prior().logit_count()),
      bytes_(state.tiles.size()) {}

StepTable DeviceTokenSelection::steps(int q) const {
  return {state_.steps(q), state_.weights().steps(), state_.geometry().bit_depth};
}

TokenDistortion DeviceTokenSelection::distortion(int q) const {
  TokenDistortion distortion{source_, state_.current(), steps(q), {}};
  std::copy(tuning_.mean_weights.begin(), tuning_.mean_weights.end(), distortion.weights);
  return distortion;
}

TokenCoding DeviceTokenSelection::trial() const {
  return {state_.fields(), state_.runner().output(), token_rates_.data()};
}

void DeviceTokenSelection::shrink_to(DeviceTokenSelection& base) {
  const Geometry& g = base.state_.geometry();
  if (!base.own_source_) base.own_source_ = std::make_unique<DeviceFrame>(device_, g);
  base.set_source(base.own_source_->planes());
  static_assert(ShrinkKernel::kScale == kBaseScale);
  if (state_.has_samples()) {
    Frame& host = base.state_.host_samples();
    shrink(*host_source_, g, state_.pool(), host);
    fill_sample_coded(*host_source_, g, state_.sample_coded, host);
    for (int p = 0; p < g.plane_count; ++p) {
      device_.upload(base.source_.data[p], host.planes[p].view().data,
                     static_cast<size_t>(base.source_.bytes(p)));
    }
    device_.wait();
    return;
  }
  for (int p = 0; p < g.plane_count; ++p) {
    const ShrinkKernel kernel{source_, base.source_, p, g.plane_width(p), g.plane_height(p)};
    device_.launch(kernel);
  }
}

void DeviceTokenSelection::choose_filters(int q, bool keyframe) {
  const Geometry& g = state_.geometry();
  if (!filters_) filters_ = std::make_unique<Filters>(g);
  const Planes& from = state_.current();
  for (int p = 0; p < g.plane_count; ++p) {
    const auto samples = static_cast<size_t>(from.width[p]) * static_cast<size_t>(from.height[p]);
    device_.download(filters_->decoded.planes[p].view().data, from.data[p],
                     samples * sizeof(uint16_t));
  }
  device_.wait();
  for (int p = 0; p < g.plane_count; ++p) {
    filters_->planes.prepare(p, filters_->decoded, state_.pool());
  }
  filters_->decision.measure(*host_source_, filters_->planes, g, state_.sample_coded,
                             state_.pool());
  state_.for_each_tile(
      [&](SymbolTile& tile, size_t i) { filters_->decision.choose(q, keyframe, tile, i); });
}

void DeviceTokenSelection::queue_marks() {
  const Geometry& g = state_.geometry();
  const MarkKernel kernel{state_.fields().stages, g.tokens_x,      g.tokens_y,
                          g.superblocks_x,        g.superblocks_y, superblocks_.device()};
  device_.launch(kernel);
  superblocks_.fetch(device_, g.superblocks());
  device_.download(stages_.data(), state_.fields().stages, g.tokens());
}

// Waits for the marks.
void DeviceTokenSelection::fetch_marks() {
  device_.wait();
  std::copy_n(stages_.data(), stages_.size(), state_.tokens.stages.begin());
  marked_ = true;
}

bool DeviceTokenSelection::find_coded_tokens(int q, double energy) {
  const Geometry& g = state_.geometry();
  const CodedTokensKernel kernel{source_,
                                 state_.current(),
                                 steps(q),
                                 energy,
                                 kDecisions.mean_limit,
                                 state_.sample_marks(),
                                 g.tokens_x,
                                 g.tokens_y,
                                 g.superblocks_x,
                                 g.superblocks_y,
                                 state_.fields().stages};
  state_.send_delta_q();
  device_.launch(kernel);
  marked_ = false;
  mark_superblocks();
  const std::vector<uint8_t>& active = state_.superblocks.active;
  return std::find(active.begin(), active.end(), uint8_t{1}) != active.end();
}

void DeviceTokenSelection::mark_superblocks() {
  if (!marked_) {
    queue_marks();
    fetch_marks();
  }
  std::copy_n(superblocks_.data(), superblocks_.size(), state_.superblocks.active.begin());
}

void DeviceTokenSelection::analyse(int q) {
  NetworkRunner& runner = state_.runner();
  const ActiveList active = state_.active_list();
  const Geometry& g = state_.geometry();
  const FeaturesKernel features{
      source_,       state_.current(),    steps(q),          active.positions,      active.count,
      runner.side(), runner.side_pitch(), runner.features(), runner.feature_pitch()};
  device_.launch(features);
  runner.analysis(active);
  device_.copy(latent_rows_.data(), active.index, g.tokens() * sizeof(int32_t));
  const int stages = state_.tokens.max_stages;
  const SignsKernel signs{
      runner.latents(), runner.latent_pitch(), active.count, active.positions, g.tokens_x,
      stages,           state_.fields()};
  device_.launch(signs);
  const CountKernel count{active.count, active.positions, g.tokens_x, stages,
                          true,         state_.fields()};
  device_.launch(count);
  marked_ = false;
}

// What the tiles' contexts add to the logits of bits, as they stand.
void DeviceTokenSelection::send_corrections(int type) {
  const auto bits = static_cast<size_t>(state_.tokens.max_stages * kStageBits);
  device_.wait_mark();
  for (size_t b = 0; b < state_.tiles.size(); ++b) {
    const LogitCorrections& corrections = state_.tiles[b].contexts.of_type(type);
    for (size_t i = 0; i < bits; ++i) {
      corrections_.data()[b * bits + i] = corrections.bits[i].value();
    }
  }
  corrections_.send(device_, corrections_.size());
  device_.mark();
}

void DeviceTokenSelection::rdoq(const Layer& layer, double latent_per_bit) {
  const ActiveList active = state_.active_list();
  const Geometry& g = state_.geometry();
  NetworkRunner& runner = state_.runner();
  GroupPrior& prior = state_.prior();
  send_corrections(layer.type);
  token_rates_.clear();
  prior.begin_layer(state_.active, active, state_.tokens, state_.fields(), nullptr);
  RdoqKernel kernel{};
  kernel.positions = active.positions;
  kernel.tokens_x = g.tokens_x;
  kernel.max_stages = state_.tokens.max_stages;
  kernel.corrections = corrections_.device();
  kernel.area = prior.area();
  kernel.latents = runner.latents();
  kernel.pitch = runner.latent_pitch();
  kernel.latent_rows = latent_rows_.data();
  kernel.slope = rdoq_slope(latent_per_bit);
  kernel.logistic = state_.weights().rates().logistic;
  kernel.log2 = state_.weights().rates().log2;
  kernel.bits = state_.fields().bits;
  kernel.token_rates = token_rates_.data();
  prior.walk(logits_.device(), [&](const GroupPrior::Subgroup& at) {
    kernel.logits = at.logits;
    kernel.rows = at.rows;
    kernel.slots = at.slots;
    kernel.list = at.list;
    kernel.stage = at.stage;
    kernel.subgroup = at.number;
    kernel.pair = state_.weights().device_pair(at.head);
    device_.launch(kernel);
  });
  const CountKernel count{active.count, active.positions, g.tokens_x, state_.tokens.max_stages,
                          false,        state_.fields()};
  device_.launch(count);
  marked_ = false;
}

DeviceTokenSelection::Kept DeviceTokenSelection::make_kept() const {
  return {DeviceArray<uint8_t>(device_, state_.tokens.stages.size()),
          DeviceArray<uint32_t>(device_, state_.tokens.bits.size())};
}

void DeviceTokenSelection::make_trials() {
  const size_t tokens = state_.geometry().tokens();
  raw_ = make_kept();
  best_ = make_kept();
  best_output_ =
      DeviceArray<int16_t>(device_, tokens * static_cast<size_t>(NetworkRunner::output_pitch()));
  best_rates_ = DeviceArray<uint64_t>(device_, tokens);
}

void DeviceTokenSelection::copy_tokens(const TokenArrays& from, const TokenArrays& to) {
  device_.copy(to.stages, from.stages, state_.tokens.stages.size());
  device_.copy(to.bits, from.bits, state_.tokens.bits.size() * sizeof(uint32_t));
}

void DeviceTokenSelection::begin_trials() {
  if (best_rates_.size() == 0) make_trials();
  copy_tokens(state_.fields(), raw_.arrays());
  tried_ = false;
}

// The host's stage counts are those of the raw tokens until the marks are fetched.
void DeviceTokenSelection::begin_trial() { copy_tokens(raw_.arrays(), state_.fields()); }

void DeviceTokenSelection::end_trial(const Layer& layer) {
  const ActiveList active = state_.active_list();
  const int pitch = NetworkRunner::output_pitch();
  if (!tried_) {
    tried_ = true;
    copy_tokens(state_.fields(), best_.arrays());
    device_.copy(best_output_.data(), state_.runner().output(),
                 static_cast<size_t>(active.count) * static_cast<size_t>(pitch) * sizeof(int16_t));
    device_.copy(best_rates_.data(), token_rates_.data(), token_rates_.size() * sizeof(uint64_t));
    return;
  }
  const LowerCostKernel kernel{distortion(layer.q),
                               trial(),
                               best_.arrays(),
                               best_output_.data(),
                               best_rates_.data(),
                               pitch,
                               active.positions,
                               active.count,
                               state_.geometry().tokens_x,
                               state_.tokens.max_stages,
                               layer.lambda()};
  device_.launch(kernel);
}

void DeviceTokenSelection::respond(const Layer& layer, double latent_per_bit) {
  NetworkRunner& runner = state_.runner();
  const Geometry& g = state_.geometry();
  const ActiveList active = state_.active_list();
  ErrorVectorKernel errors{};
  errors.source = source_;
  errors.prediction = state_.current();
  errors.steps = steps(layer.q);
  errors.positions = active.positions;
  errors.index = active.index;
  errors.rows = active.count;
  errors.tokens_x = g.tokens_x;
  errors.tokens_y = g.tokens_y;
  errors.output = best_output_.data();
  errors.output_pitch = NetworkRunner::output_pitch();
  errors.out = runner.errors();
  errors.pitch = NetworkRunner::error_pitch();
  for (int i = 0; i < kNeighbourhood; ++i) {
    errors.dy = i / 3 - 1;
    errors.dx = i % 3 - 1;
    device_.launch(errors);
    runner.response(i, active);
  }
  const ResponseKernel kernel{runner.gains(),
                              runner.latent_pitch(),
                              state_.weights().analysis().energies,
                              active.count,
                              active.positions,
                              g.tokens_x,
                              state_.tokens.max_stages,
                              best_.arrays(),
                              response_per_unit(latent_per_bit, layer.lambda()),
                              latent_rows_.data(),
                              runner.latents(),
                              runner.latent_pitch()};
  device_.launch(kernel);
}

void DeviceTokenSelection::end_trials() {
  copy_tokens(best_.arrays(), state_.fields());
  device_.copy(token_rates_.data(), best_rates_.data(), token_rates_.size() * sizeof(uint64_t));
}

bool DeviceTokenSelection::zero_out(const Layer& layer) {
  const ActiveList active = state_.active_list();
  changed_.data()[0] = 0;
  changed_.send(device_, 1);
  const ZeroOutKernel kernel{distortion(layer.q),
                             trial(),
                             NetworkRunner::output_pitch(),
                             active.positions,
                             active.count,
                             state_.geometry().tokens_x,
                             layer.lambda(),
                             kDecisions.flag_bits,
                             changed_.device()};
  device_.launch(kernel);
  changed_.fetch(device_, 1);
  queue_marks();
  fetch_marks();
  return changed_.data()[0] != 0;
}

// Logits, flags and bits for the host to code.
void DeviceTokenSelection::begin_symbols() {
  state_.begin_bits();
  if (state_.active.count() == 0) return;
  size_t count = 0;
  state_.prior().walk(logits_.device(), [&](const GroupPrior::Subgroup& at) {
    count += static_cast<size_t>(at.rows) * kSubgroupBits;
  });
  logits_.fetch(device_, count);
  TokenField& tokens = state_.tokens;
  device_.download(bits_.data(), state_.fields().bits, tokens.bits.size() * sizeof(uint32_t));
  device_.wait();
  std::copy_n(bits_.data(), tokens.bits.size(), tokens.bits.begin());
}

}  // namespace bsq::cuda
