// The parts of the C table of the backend.
#pragma once

#include "bsq/bsq_cuda.h"

namespace bsq::cuda {

// Sets the members that begin with "encoder_".
void add_encoder(bsq_cuda_api& api);

}  // namespace bsq::cuda
