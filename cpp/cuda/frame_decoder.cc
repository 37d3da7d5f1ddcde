// Decoding of frames on a device.
#include "cuda/frame_decoder.h"

#include <array>
#include <memory>
#include <string>

#include "base/status.h"
#include "codec/decoder/layer_decoder.h"
#include "cuda/device_state.h"

namespace bsq::cuda {
namespace {

class DeviceFrameDecoder : public FrameDecoder {
 public:
  DeviceFrameDecoder(const Geometry& geometry, const WeightSets& weights, Device& device,
                     const Destination& destination, ThreadPool& pool)
      : device_(device), destination_(destination), state_(geometry, weights, device, pool, false) {
    for (int p = 0; p < geometry.plane_count; ++p) {
      constexpr ptrdiff_t kRowAlignment = 256;
      const ptrdiff_t row = geometry.plane_width(p) * (geometry.bit_depth > 8 ? 2 : 1);
      const auto at = static_cast<size_t>(p);
      pitches_[at] = (row + kRowAlignment - 1) / kRowAlignment * kRowAlignment;
      shown_[at] = DeviceArray<uint8_t>(
          device_, static_cast<size_t>(pitches_[at] * geometry.plane_height(p)));
    }
  }

  void decode(const CodedFrame& coded, std::vector<TokenField>* layers) override {
    try {
      decode_layers(state_, coded, layers);
    } catch (...) {
      device_.wait();  // copies in the queue read memory that the next packet changes
      throw;
    }
  }
  void end_frame() override { state_.end_frame(); }
  const MotionField& motion() const override { return state_.motion.field; }
  const TokenField& coded_tokens() const override { return state_.coded_tokens(); }

  void present(int slot) override { presented_ = state_.share(slot); }
  void show(bsq_frame& frame) override {
    const Geometry& g = state_.geometry();
    for (int p = 0; p < g.plane_count; ++p) {
      const auto at = static_cast<size_t>(p);
      const int plane = g.first_plane + p;
      const bool own = destination_.planes[0] == nullptr;
      void* to = own ? shown_[at].data() : destination_.planes[plane];
      const ptrdiff_t stride = own ? pitches_[at] : destination_.strides[plane];
      check_destination(to, stride, p);
      const ExportKernel kernel{presented_->frame->planes(), p,  g.plane_width(p),
                                g.plane_height(p),           to, stride};
      device_.launch(kernel);
      frame.planes[plane] = to;
      frame.strides[plane] = stride;
    }
  }

 private:
  void check_destination(const void* plane, ptrdiff_t stride, int p) const {
    const Geometry& g = state_.geometry();
    const ptrdiff_t bytes = g.bit_depth > 8 ? 2 : 1;
    const std::string name = std::to_string(g.first_plane + p);
    if (plane == nullptr) throw Error(BSQ_ERROR_ARGUMENT, "plane " + name + " is NULL");
    if (stride < g.plane_width(p) * bytes || stride % bytes != 0 ||
        reinterpret_cast<uintptr_t>(plane) % static_cast<uintptr_t>(bytes) != 0) {
      throw Error(BSQ_ERROR_ARGUMENT, "the rows of plane " + name + ", " + std::to_string(stride) +
                                          " bytes apart, do not fit its samples");
    }
  }

  Device& device_;
  const Destination& destination_;
  DeviceState state_;
  std::shared_ptr<const DeviceState::Held> presented_;
  std::array<DeviceArray<uint8_t>, 3> shown_;
  std::array<ptrdiff_t, 3> pitches_{};
};

}  // namespace

FrameDecoderFactory decode_on_device(Device& device, const Destination& destination) {
  // A decoder's models outlive what its factory makes.
  const auto packed = std::make_shared<WeightsOfModels>();
  return [&device, &destination, packed](const Geometry& geometry, const Model& model,
                                         ThreadPool& pool) {
    return std::make_unique<DeviceFrameDecoder>(geometry, packed->of(device, model), device,
                                                destination, pool);
  };
}

}  // namespace bsq::cuda
