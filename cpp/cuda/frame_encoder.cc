// Encoding of frames on a device.
#include "cuda/frame_encoder.h"

#include <memory>
#include <numeric>
#include <optional>
#include <vector>

#include "base/status.h"
#include "codec/encoder/mode/motion_estimation.h"
#include "cuda/motion_search.h"
#include "cuda/token_selection.h"

namespace bsq::cuda {
namespace {

class DeviceFrameEncoder : public FrameEncoder {
 public:
  DeviceFrameEncoder(const Geometry& geometry, const std::shared_ptr<const Weights>& weights,
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

  void begin(const Frame& source) override {
    const Planes& to = source_.planes();
    for (int p = 0; p < to.count; ++p) {
      device_.upload(to.data[p], source.planes[p].view().data, plane_bytes(p));
    }
    layers_.selection().set_source(to);
  }
  void begin_keyframe() override { state_.begin_keyframe(); }
  void predict(int q, int range) override {
    if (!search_) search_.emplace(device_, geometry());
    motion_tiles(state_, tiles_);
    search_->run(source_.planes(), state_.frame(), motion_config(q, range), tiles_,
                 state_.motion.field);
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
  int64_t luma_error() override {
    const ErrorKernel kernel{source_.planes(), state_.current(), geometry().width,
                             geometry().height, errors_.device()};
    device_.launch(kernel);
    errors_.fetch(device_, errors_.size());
    device_.wait();
    return std::accumulate(errors_.data(), errors_.data() + errors_.size(), int64_t{0});
  }
  void end_frame() override { state_.end_frame(); }
  const Frame& frame() override { return show(state_.frame()); }

 private:
  size_t plane_bytes(int p) const {
    const Planes& planes = source_.planes();
    return static_cast<size_t>(planes.width[p]) * static_cast<size_t>(planes.height[p]) *
           sizeof(uint16_t);
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
  Mirror<int64_t> errors_;
  Frame shown_;
  std::vector<MotionSearchTile> tiles_;
  std::optional<DeviceSearch> search_;  // of components with motion of their own
};

}  // namespace

FrameEncoderFactory encode_on_device(Device& device) {
  // An encoder's model outlives what its factory makes.
  const auto packed = std::make_shared<WeightsOfModels>();
  return [&device, packed](const Geometry& geometry, const Model& model, const EncodingStyle& style,
                           ThreadPool& pool) {
    const std::shared_ptr<const Weights>& weights = packed->of(device, model);
    return std::make_unique<DeviceFrameEncoder>(geometry, weights, style, device, pool);
  };
}

}  // namespace bsq::cuda
