"""Constants of the encoder's decisions in training: those it takes over, and those of its own.

What a rollout does must be what the encoder will do with the networks, so the extension tells its
constants. tests/training/test_decisions.py names every one in which training differs, and why.
"""

from bsqav import _core

ENCODER = _core.encoder_decisions()

# Lambda of the training loss: sum of squared errors, in squared steps, per bit. About that of a
# uniform quantizer with a dead zone at this step (0.85 * 2^((QP-12)/3) of H.264 is 0.13 in its
# step).
LAMBDA = 0.13
# Lambda of the motion search, in steps of absolute difference per bit: the square root of LAMBDA.
MOTION_LAMBDA = 0.36
# Weights of the errors of the means of every 2x2, 4x4 and 8x8 luma samples, where those of the
# samples count 1: coarse structure is what the eye, MS-SSIM and VMAF see.
MEAN_WEIGHTS = {2: 0.5, 4: 1.0, 8: 1.0}

# q between the layers of a keyframe; a remainder of up to LAYER_SLACK is not worth a layer.
LAYER_SPACING = ENCODER["layer_spacing"]
LAYER_SLACK = ENCODER["layer_slack"]
# Frames between keyframes have at most so many layers before the last.
COARSE_LAYERS = ENCODER["coarse_layers"]
# Mean energy, in squared steps, from which a token is coded in layers before the last one, and in
# the last one.
COARSE_ENERGY = ENCODER["coarse_energy"]
TOKEN_ENERGY = ENCODER["token_energy"]
# How much finer, in q, a keyframe ends than the frames that follow, and the base frame than that.
KEYFRAME_GAIN = ENCODER["keyframe_gain"]
BASE_GAIN = ENCODER["base_gain"]
