"""Constants of training's decisions, most of them the encoder's (Decisions in decisions.h)."""

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
LAYER_SPACING = 8 * 10
LAYER_SLACK = 8 * 2
# Frames between keyframes have at most so many layers before the last.
COARSE_LAYERS = 5
# Mean energy, in squared steps, from which a token is coded in layers before the last one, and in
# the last one.
COARSE_ENERGY = 0.1
TOKEN_ENERGY = 0.012
# How much finer, in q, a keyframe ends than the frames that follow, and the base frame than that.
KEYFRAME_GAIN = 8 * 6
BASE_GAIN = 8 * 12
