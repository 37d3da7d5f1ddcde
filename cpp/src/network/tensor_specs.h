// What tensors a model consists of, and their limits: docs/bitstream.md section 6 and
// docs/numerics.md section 6.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "network/model_file.h"
#include "network/token_field.h"

namespace bsq {

enum class TensorType { kS8 = 1, kS32 = 3 };  // the codes of the file

struct TensorSpec {
  std::string name;
  TensorType type = TensorType::kS8;
  std::vector<int> shape;
  int32_t low = 0;  // range of the values, both ends included
  int32_t high = 0;
  bool optional = false;  // may be left out, and is 0 then
  // Weights only: the largest magnitude of the layer's input (0: no weights), and the axis of
  // `shape` that is summed over.
  int input_limit = 0;
  int inputs_axis = 0;
};

// All tensors of a model of these sizes, which keep the limits.
std::vector<TensorSpec> tensor_specs(const ModelConfig& config);

}  // namespace bsq
