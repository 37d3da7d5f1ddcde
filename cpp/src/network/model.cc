// A loaded model: immutable, shared by any number of encoders and decoders in any threads.
#include "network/model.h"

#include <utility>

#include "network/layers.h"

namespace bsq {

std::shared_ptr<const Model> Model::load(std::span<const uint8_t> bytes) {
  return std::shared_ptr<const Model>(new Model(parse_model_file(bytes)));
}

NetworkSets Model::networks(const KernelTable& kernels) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  NetworkSets& packed = packed_[&kernels];
  if (packed.keyframes == nullptr) {
    packed.predicted =
        std::make_shared<const Networks>(pack_networks(file_, kernels, /*keyframe=*/false));
    packed.keyframes =
        std::make_shared<const Networks>(pack_networks(file_, kernels, /*keyframe=*/true));
  }
  return packed;
}

}  // namespace bsq
