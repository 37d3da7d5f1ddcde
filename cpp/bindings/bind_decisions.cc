// The encoder's decision constants for training, which follows them (bsqav.training.codec).
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "codec/encoder/mode/decisions.h"

namespace py = pybind11;
using pybind11::literals::operator""_a;

namespace bsq {

void bind_decisions(py::module_& m);

void bind_decisions(py::module_& m) {
  m.def(
      "encoder_decisions",
      [] {
        return py::dict(
            "lambda"_a = kDecisions.lambda, "keyframe_lambda"_a = kDecisions.keyframe_lambda,
            "motion_lambda"_a = kDecisions.motion_lambda,
            "layer_spacing"_a = kDecisions.layer_spacing, "layer_slack"_a = kDecisions.layer_slack,
            "coarse_layers"_a = kDecisions.coarse_layers,
            "coarse_energy"_a = kDecisions.coarse_energy,
            "keyframe_gain"_a = kDecisions.keyframe_gain, "base_gain"_a = kDecisions.base_gain,
            "token_energy"_a = kTunings[0].token_energy,
            "mean_weights"_a = kTunings[0].mean_weights);
      },
      "The constants of the encoder's decisions that concern training, with the balanced tuning.");
}

}  // namespace bsq
