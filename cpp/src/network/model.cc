// A loaded model: immutable, shared by any number of encoders and decoders in any threads.
#include "network/model.h"

#include <utility>

#include "network/layers.h"

namespace bsq {

std::shared_ptr<const Model> Model::load(std::span<const uint8_t> bytes) {
  return std::shared_ptr<const Model>(new Model(parse_model_file(bytes)));
}

std::shared_ptr<const Networks> Model::networks(const KernelTable& kernels) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::shared_ptr<const Networks>& packed = packed_[&kernels];
  if (packed == nullptr) packed = std::make_shared<const Networks>(pack_networks(file_, kernels));
  return packed;
}

}  // namespace bsq
