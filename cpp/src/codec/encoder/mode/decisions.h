// Constants of the encoder's mode decision: lambda, quality layers, scene cuts, tuning. Not
// normative.
#pragma once

#include <array>
#include <cstddef>

#include "base/quant_step.h"

namespace bsq {

// One of the ways in which the bits of a layer's tokens are chosen by RDO quantization; each token
// keeps the result of the lowest RD cost.
struct Trial {
  // From the encoder network's latents, or from the error that the best bits so far leave.
  enum class Latents { kNetwork, kResponse };
  Latents latents;
  double factor;  // of what a bit of cost moves the threshold of a latent by
};

// Steps are given as q, see docs/numerics.md section 3; a difference of 64 is a factor of two.
struct Decisions {
  // A keyframe starts at this step or a coarser one, and refines in layers of about `layer_spacing`
  // at most down to the step asked for: most bits say "a step up" or "a step down", so that a
  // layer's step is less than half of that of the layer before. Remainders up to `layer_slack` are
  // not worth a layer. The models are trained like this.
  int coarse_intra = kQPerCrf * 55;
  // The same where it is predicted from a base frame, and how much finer than the keyframe that
  // is. Keyframes of fewer tokens than `base_tokens` have none.
  int coarse_based = kQPerCrf * 56;
  int base_gain = kQPerCrf * 12;
  int base_tokens = 16;
  // So much finer than the rest of the first layer a superblock may begin; else all begin coarser.
  int coarse_reach = kQPerCrf * 7;
  int finest = kQOffset;  // no step is finer: that of c = 0
  // How much finer a keyframe ends than the frames that are predicted from it.
  int keyframe_gain = kQPerCrf * 6;
  // The same where it goes on with the scene before it: more would be seen as a pulse.
  int renewal_gain = kQPerCrf * 2;
  // A frame goes on with a scene if motion from the one before saves so much of its cost.
  double continued = 0.3;
  int layer_spacing = kQPerCrf * 10;
  int layer_slack = kQPerCrf * 2;
  // Frames between keyframes begin with at most so many coarse layers, for tokens that one layer
  // cannot bring all the way.
  int coarse_layers = 5;
  // Energy, in squared steps per sample, from which the networks look for bits of a token in layers
  // before the last one; the mean of its luma adds at most `mean_limit`.
  double coarse_energy = 0.1;
  double mean_limit = 1.0;
  // A token is coded if that lowers the squared error by more than lambda * step^2 per bit.
  // Keyframes are what all that follows is predicted from, and pay for themselves later.
  double lambda = 0.16;
  double keyframe_lambda = 0.10;
  // In keyframes, and by the slow preset in all frames; elsewhere.
  std::array<Trial, 7> many_trials{{{Trial::Latents::kNetwork, 1.0},
                                    {Trial::Latents::kNetwork, 0.1},
                                    {Trial::Latents::kNetwork, 2.0},
                                    {Trial::Latents::kResponse, 1.0},
                                    {Trial::Latents::kResponse, 0.3},
                                    {Trial::Latents::kResponse, 2.0},
                                    {Trial::Latents::kResponse, 1.0}}};
  std::array<Trial, 2> few_trials{
      {{Trial::Latents::kNetwork, 1.0}, {Trial::Latents::kResponse, 1.0}}};
  // What the flags of a coded token cost more than those of a skipped one, in bits.
  double flag_bits = 1.0;
  // A group has at most so many frames, or more where the anchor before leaves no more than this
  // share of the cost of its anchor: water and leaves want short groups.
  size_t least_group = 4;
  double anchor_share = 0.5;
  // The temporal filter's, of keyframes and of the anchors of groups of 8 frames; less in shorter
  // groups, and none in those of fewer frames than `least_filtered_group`.
  double filter_strength = 1.5;
  int least_filtered_group = 4;
  // What is added to q of the frames of hierarchical groups, by level: anchors, then the frames in
  // the middle of a group, and so on.
  std::array<int, 4> level_q{-kQPerCrf, 4, 12, 24};
  // The q cascade of streams of P frames: what is added to q of frames between keyframes in turn,
  // by their number in the group. Those after a finer one are predicted from it, and take its
  // detail almost for nothing.
  std::array<int, 4> q_cascade{-kQPerCrf * 3, 12, 0, 12};
  // With a lookahead: by how many delta q falls for each octave of propagation cost, and how many
  // octaves leave the q of the stream as it is.
  double propagation_strength = 2.4;
  double usual_propagation = 2.0;
  // All anchors of a group may refer to its keyframe: its propagation cost is that of so many
  // frames, at most those of the group, if they go on as those within the lookahead do.
  int long_term_frames = 64;
  // A P frame has the keyframe as a second reference where so many of its tokens have changed since
  // the frame before by so much, in squared steps per sample.
  double least_changed = 1.0 / 32;
  double changed_energy = 0.1;
  // A delta q stays, between keyframes, where it would move by no more than this.
  double delta_q_inertia = 0.8;
  // Lambda of the motion search, in steps of absolute error for a bit: near sqrt(lambda).
  double motion_lambda = 0.45;
  // A scene cut: the prediction misses by at least `cut_ratio` times what the mean of each token
  // misses by, and by `cut_floor` 8-bit sample values, `cut_distance` frames or more after the
  // keyframe before.
  double cut_ratio = 0.7;
  double cut_floor = 4.0;
  int cut_distance = 8;
};

inline constexpr Decisions kDecisions;

// The decisions on which errors count for how much; for each bsq_tune.
struct Tuning {
  // Energy, in squared steps per sample, from which the networks look for bits of a token in the
  // last layer.
  double token_energy = 0.012;
  // In the choice of tokens, errors of the means of 2x2, 4x4 and 8x8 luma samples count for so much
  // more than those of the samples: coarse structure is what eyes and their models judge.
  // Training counts twice what the balanced tuning does.
  std::array<double, 3> mean_weights{0.25, 0.5, 0.5};
  // By how many sixteenths a bit of cost moves the threshold of a latent: see RdoqCoder.
  double latent_per_bit = 1.5;
  // By how many units of delta q a superblock's step rises where its variance is twice as large.
  double variance_strength = 0.8;
};

inline constexpr std::array<Tuning, 3> kTunings{{
    {},
    {.mean_weights = {0, 0, 0}, .variance_strength = 0},
    {.token_energy = 0.008,
     .mean_weights = {0.5, 1, 1},
     .latent_per_bit = 1.2,
     .variance_strength = 1.0},
}};

}  // namespace bsq
