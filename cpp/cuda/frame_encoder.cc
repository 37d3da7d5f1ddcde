// Encoding of frames on a device.
#include "cuda/frame_encoder.h"

#include <array>
#include <memory>
#include <numeric>
#include <optional>
#include <vector>

#include "base/status.h"
#include "codec/encoder/mode/motion_estimation.h"
#include "codec/encoder/mode/screen_motion.h"
#include "cuda/motion_search.h"
#include "cuda/token_selection.h"
#include "kernels/dispatch.h"

namespace bsq::cuda {
namespace {

class DeviceFrameEncoder : public FrameEncoder {
 public:
  DeviceFrameEncoder(const Geometry& geometry, const WeightSets& weights,
                     const EncodingStyle& style, Device& device, ThreadPool& pool)
      : device_(device),
        state_(geometry, weights, device, pool, true),
        layers_(state_, style),
        source_(device, geometry),
        errors_(device, static_cast<size_t>(geometry.height)),
        shown_(geometry.make_frame()) {}

  const Geometry& geometry() const override { return state_.geometry(); }
  bool has_base() const override { return layers_.has_base(); }
  std::span<const int16_t> delta_q() const override { return state_.superblocks.delta_q; }
  void trace(std::vector<LayerTrace>*) override {
    throw Error(BSQ_ERROR_UNSUPPORTED, "layers cannot be traced on a device: encode without one");
  }

  void begin(const Frame& source, const FrameRole& role) override {
    begun_ = &source;
    const Planes& to = source_.planes();
    for (int p = 0; p < to.count; ++p) {
      device_.upload(to.data[p], source.planes[p].view().data, plane_bytes(p));
    }
    layers_.selection().set_source(to);
    layers_.selection().set_host_source(source);
    state_.begin_frame(role);
    screen_.begin(source, layers_.begin_frame(), state_.pool());
  }
  void predict(int q, int range) override {
    const FrameRole& role = state_.role();
    MotionSearchConfig config = motion_config(q, range, role.distances);
    config.shifts[0] = screen_.shifts(role.first);
    if (role.is_b()) {
      config.shifts[1] = screen_.shifts(role.second);
      search_b(config);
    } else if (!config.shifts[0].empty()) {
      search_p(config);
    } else {
      if (!search_) search_.emplace(device_, geometry());
      motion_tiles(state_, tiles_);
      search_->run(source_.planes(), state_.reference(0).frame->planes(), config, tiles_,
                   state_.motion.field);
    }
    state_.compensate();
  }
  void predict_as(const MotionField& first) override {
    take_motion(first, geometry().narrower, state_.motion.field);
    state_.compensate();
  }
  const MotionField& motion() const override { return state_.motion.field; }
  const Frame& prediction() override { return show(state_.current()); }
  const EncodedFrame& encode(const LayerPlan& plan) override {
    try {
      return layers_.encode(plan);
    } catch (...) {
      device_.wait();  // copies in the queue read memory that is about to go
      throw;
    }
  }
  int64_t luma_error(const Frame& original) override {
    // Where the source was filtered, it is needed no longer.
    if (&original != begun_) {
      device_.upload(source_.planes().data[0], original.planes[0].view().data, plane_bytes(0));
    }
    const ErrorKernel kernel{source_.planes(), state_.current(), geometry().width,
                             geometry().height, errors_.device()};
    device_.launch(kernel);
    errors_.fetch(device_, errors_.size());
    device_.wait();
    return std::accumulate(errors_.data(), errors_.data() + errors_.size(), int64_t{0});
  }
  void end_frame() override {
    screen_.end_frame(state_.role());
    state_.end_frame();
  }
  const Frame& frame(int slot) override { return show(state_.held(slot)->frame->planes()); }

 private:
  struct HostSearch {
    MotionSearch p;
    BMotionSearch b;
    std::array<SearchReference, 2> references;
  };

  size_t plane_bytes(int p) const { return static_cast<size_t>(source_.planes().bytes(p)); }

  // The motion of a B frame, which the host searches for.
  void search_b(MotionSearchConfig& config) {
    HostSearch& host = begin_host_search(2, config);
    host.b.current().fill(begun_->planes[0].view(), begun_->bit_depth);
    motion_tiles(state_, host.b.tiles());
    MotionSymbols& motion = state_.motion;
    motion.field = host.b.run(host.b.current(), {&host.references[0], &host.references[1]}, config,
                              motion.temporal, motion.distances, host.b.tiles(), state_.pool());
  }
  // Likewise that of a P frame whose search has displacements to try besides.
  void search_p(MotionSearchConfig& config) {
    HostSearch& host = begin_host_search(1, config);
    host.p.current().fill(begun_->planes[0].view(), begun_->bit_depth);
    motion_tiles(state_, host.p.tiles());
    MotionField& field = state_.motion.field;
    field = host.p.run(host.p.current(), host.references[0], config, &field, host.p.tiles(),
                       state_.pool());
  }
  HostSearch& begin_host_search(size_t references, MotionSearchConfig& config) {
    const SearchKernels& kernels = search_kernels(current_kernels());
    config.kernels = &kernels;
    if (!host_search_) host_search_ = std::make_unique<HostSearch>();
    for (size_t i = 0; i < references; ++i) {
      host_search_->references[i].fill(show(state_.reference(i).frame->planes()), kernels,
                                       state_.pool());
    }
    return *host_search_;
  }

  const Frame& show(const Planes& planes) {
    for (int p = 0; p < planes.count; ++p) {
      device_.download(shown_.planes[p].view().data, planes.data[p], plane_bytes(p));
    }
    device_.wait();
    return shown_;
  }

  Device& device_;
  DeviceState state_;
  LayerEncoder<DeviceState, DeviceTokenSelection> layers_;
  DeviceFrame source_;
  const Frame* begun_ = nullptr;  // what `source_` was filled with
  Mirror<int64_t> errors_;
  Frame shown_;
  std::vector<MotionSearchTile> tiles_;
  std::optional<DeviceSearch> search_;       // of components with motion of their own
  std::unique_ptr<HostSearch> host_search_;  // likewise, for B frames and screens
  ScreenMotion screen_;
};

}  // namespace

FrameEncoderFactory encode_on_device(Device& device) {
  // An encoder's model outlives what its factory makes.
  const auto packed = std::make_shared<WeightsOfModels>();
  return [&device, packed](const Geometry& geometry, const Model& model, const EncodingStyle& style,
                           ThreadPool& pool) {
    const WeightSets& weights = packed->of(device, model);
    return std::make_unique<DeviceFrameEncoder>(geometry, weights, style, device, pool);
  };
}

}  // namespace bsq::cuda
