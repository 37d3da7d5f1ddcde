// A loaded model: immutable, shared by any number of encoders and decoders in any threads.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>

#include "kernels/kernel_table.h"
#include "network/model_file.h"

namespace bsq {

struct Networks;  // network/layers.h: the weights packed for one kernel set

// The networks of a model, by what they code.
struct NetworkSets {
  std::shared_ptr<const Networks> predicted;  // frames that are predicted from others
  std::shared_ptr<const Networks> keyframes;  // and their base frames
};

class Model {
 public:
  // Parses and checks a model file (docs/bitstream.md section 6). Throws Error with
  // BSQ_ERROR_MODEL (damaged, breaks a limit) or BSQ_ERROR_UNSUPPORTED (a version that this
  // library does not have); the message names byte and tensor.
  static std::shared_ptr<const Model> load(std::span<const uint8_t> bytes);

  // First half of the SHA-256 that closes the file.
  const std::array<uint8_t, 16>& id() const { return file_.id; }
  const std::string& name() const { return file_.name; }
  const std::string& json() const { return file_.text; }
  const ModelConfig& config() const { return file_.config; }

  // The weights in the layout of a kernel set; packed at the first call for that set, then kept.
  // The result outlives the model.
  NetworkSets networks(const KernelTable& kernels) const;

 private:
  explicit Model(ModelFile file) : file_(std::move(file)) {}

  ModelFile file_;
  mutable std::mutex mutex_;  // guards packed_
  mutable std::map<const KernelTable*, NetworkSets> packed_;
};

}  // namespace bsq
