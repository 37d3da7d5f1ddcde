// The encoder's decision constants for training, which follows them (bsqav.training.codec).
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "codec/encoder/mode/decisions.h"

namespace py = pybind11;

namespace bsq {

void bind_decisions(py::module_& m);

void bind_decisions(py::module_& m) {
  m.def(
      "encoder_decisions",
      [] {
        py::dict out;
        out["lambda"] = kDecisions.lambda;
        out["keyframe_lambda"] = kDecisions.keyframe_lambda;
        out["motion_lambda"] = kDecisions.motion_lambda;
        out["layer_spacing"] = kDecisions.layer_spacing;
        out["layer_slack"] = kDecisions.layer_slack;
        out["coarse_layers"] = kDecisions.coarse_layers;
        out["coarse_energy"] = kDecisions.coarse_energy;
        out["keyframe_gain"] = kDecisions.keyframe_gain;
        out["base_gain"] = kDecisions.base_gain;
        out["token_energy"] = kTunings[0].token_energy;
        out["mean_weights"] = kTunings[0].mean_weights;
        return out;
      },
      "The constants of the encoder's decisions that concern training, with the balanced tuning.");
}

}  // namespace bsq
