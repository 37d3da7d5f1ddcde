// Encoding of pictures on a device.
#include "cuda/encode_pictures.h"

#include <map>
#include <memory>
#include <numeric>
#include <optional>

#include "base/status.h"
#include "codec/enc_motion.h"
#include "cuda/choices.h"
#include "motion/search.h"
#include "network/tokenizer.h"

namespace bsq::cuda {
namespace {

class DeviceEncoder : public PictureEncoder {
 public:
  DeviceEncoder(const Geometry& geometry, const std::shared_ptr<const Weights>& weights,
                const EncodingStyle& style, Device& device, ThreadPool& pool,
                const KernelTable& kernels)
      : device_(device),
        kernels_(kernels),
        state_(geometry, weights, device, pool, true),
        layers_(state_, style),
        source_(device, geometry),
        errors_(device, static_cast<size_t>(geometry.height)),
        shown_(geometry.make_frame()) {}

  const Geometry& geometry() const override { return state_.geometry(); }
  int step_offset() const override { return state_.step_offset(); }
  bool has_base() const override { return layers_.has_base(); }
  bool has_offsets() const override { return state_.windows.has_offsets; }
  std::span<const int16_t> offsets() const override { return state_.windows.offset; }
  void trace(std::vector<LayerTrace>*) override {
    throw Error(BSQ_ERROR_UNSUPPORTED, "layers cannot be traced on a device: encode without one");
  }

  void begin(const Frame& source) override {
    const Planes& to = source_.planes();
    for (int p = 0; p < to.count; ++p) {
      device_.upload(to.data[p], source.planes[p].view().data, plane_bytes(p));
    }
    host_source_ = &source;
    layers_.choices().set_source(to);
  }
  void begin_keyframe() override { state_.begin_keyframe(); }
  void predict(int q, int range) override {
    search(q, range);
    state_.compensate();
  }
  void predict_as(const MotionField& first) override {
    take_motion(first, geometry().narrower, state_.motion.field);
    state_.compensate();
  }
  const MotionField& motion() const override { return state_.motion.field; }
  const Frame& prediction() override { return show(state_.current()); }
  EncodedPicture encode(const LayerPlan& plan) override {
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
    device_.launch(kernel, kernel.blocks());
    errors_.fetch(device_, errors_.size());
    device_.wait();
    return std::accumulate(errors_.data(), errors_.data() + errors_.size(), int64_t{0});
  }
  void end_picture() override { state_.end_picture(); }
  const Frame& picture() override { return show(state_.picture()); }

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

  void search(int q, int range) {
    std::array<SearchPicture, 2>& pictures = search_.pictures();
    const Frame& reference = picture();
    pictures[0].fill(host_source_->planes[0].view(), host_source_->bit_depth);
    pictures[1].fill(reference.planes[0].view(), reference.bit_depth);
    MotionSearchConfig config = motion_config(q, range);
    config.kernels = &search_kernels(kernels_);
    state_.motion.field = search_.run(pictures[0], pictures[1], config, &state_.motion.field,
                                      motion_blocks(state_), state_.pool());
  }

  Device& device_;
  const KernelTable& kernels_;
  DeviceState state_;
  LayerEncoder<DeviceState, DeviceChoices> layers_;
  DeviceFrame source_;
  Mirror<int64_t> errors_;
  Frame shown_;
  MotionSearch search_;
  const Frame* host_source_ = nullptr;
};

}  // namespace

PictureEncoderFactory encode_on_device(Device& device, const KernelTable& kernels) {
  // By model: an encoder's model outlives what its factory makes.
  auto packed = std::make_shared<std::map<const Model*, std::shared_ptr<const Weights>>>();
  return [&device, &kernels, packed](const Geometry& geometry, const Model& model,
                                     const EncodingStyle& style, ThreadPool& pool) {
    std::shared_ptr<const Weights>& weights = (*packed)[&model];
    if (weights == nullptr) weights = std::make_shared<const Weights>(device, model);
    require_encoder(weights->config());
    return std::make_unique<DeviceEncoder>(geometry, weights, style, device, pool, kernels);
  };
}

}  // namespace bsq::cuda
