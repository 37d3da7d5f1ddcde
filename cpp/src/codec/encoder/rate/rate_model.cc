// Bits by energy.
#include "codec/encoder/rate/rate_model.h"

#include <algorithm>
#include <cmath>

#include "base/quant_step.h"
#include "codec/encoder/rate/rate_plan.h"
#include "network/token_field.h"

namespace bsq {

double model_bits(const RateModel& model, const EnergyHistogram& energies, double step) {
  const double squared_step = std::exp2(2.0 * step / kQPerOctave);
  double bits = 0;
  for (size_t b = 0; b < energies.counts.size(); ++b) {
    if (energies.counts[b] == 0) continue;
    const double energy = std::exp2((static_cast<double>(b) + 0.5) / 2.0) / kSampleVector;
    const double cost = std::pow(std::log2(1.0 + model.gain * energy / squared_step), model.power);
    bits += static_cast<double>(energies.counts[b]) * cost;
  }
  return 64.0 + model.scale * bits;
}

double q_within(const RateModel& model, const EnergyHistogram& energies, double ratio, double bits,
                double step) {
  while (step < kMaxC && ratio * model_bits(model, energies, step) > bits) step += 2.0;
  return std::min(step, kMaxC);
}

double blend_ratio(double ratio, double measured, double weight) {
  const double next = std::exp2((1 - weight) * std::log2(ratio) + weight * std::log2(measured));
  return std::clamp(next, 1.0 / 16, 16.0);
}

}  // namespace bsq
