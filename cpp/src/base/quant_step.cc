// The step sizes of quantizer indices.
#include "base/quant_step.h"

#include <string>

#include "base/status.h"

namespace bsq {
namespace {

// round(65536 * 2^(i / 64))
constexpr int32_t kPow2[64] = {
    65536,  66250,  66971,  67700,  68438,  69183,  69936,  70698,  71468,  72246,  73032,
    73828,  74632,  75444,  76266,  77096,  77936,  78785,  79642,  80510,  81386,  82273,
    83169,  84074,  84990,  85915,  86851,  87796,  88752,  89719,  90696,  91684,  92682,
    93691,  94711,  95743,  96785,  97839,  98905,  99982,  101070, 102171, 103283, 104408,
    105545, 106694, 107856, 109031, 110218, 111418, 112631, 113858, 115098, 116351, 117618,
    118899, 120194, 121502, 122825, 124163, 125515, 126882, 128263, 129660,
};

}  // namespace

int32_t step_q8(int q) {
  if (q < 0 || q > kMaxQ) {
    throw Error(BSQ_ERROR_ARGUMENT, "quantizer index " + std::to_string(q) + " is not within 0.." +
                                        std::to_string(kMaxQ));
  }
  return static_cast<int32_t>(((int64_t{kPow2[q % 64]} << (q / 64)) + 256) >> 9);
}

}  // namespace bsq
