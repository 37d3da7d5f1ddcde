// The rate model: the bits of a frame by the energies of its tokens and by q.
#pragma once

#include "codec/encoder/rate/energy_histogram.h"

namespace bsq {

// Fitted to what the encoder needs: a token with a mean square of e samples costs
// scale * log2(1 + gain * e / step^2)^power bits.
struct RateModel {
  double scale;
  double gain;
  double power;
};
inline constexpr RateModel kIntraModel{12.5, 40.0, 1.5};
inline constexpr RateModel kInterModel{2.9, 20.0, 2.5};

double model_bits(const RateModel& model, const EnergyHistogram& energies, double step);

// The lowest q from `step` on at which the model, times `ratio`, stays within `bits`.
double q_within(const RateModel& model, const EnergyHistogram& energies, double ratio, double bits,
                double step);

// The ratio of true bits to the model's, which moves to a measured one by `weight`.
double blend_ratio(double ratio, double measured, double weight);

}  // namespace bsq
