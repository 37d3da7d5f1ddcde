// The encoder's decisions: layers of a keyframe, stages of a token, scene cuts. Not normative.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/plane.h"
#include "base/thread_pool.h"
#include "codec/geometry.h"
#include "network/token_field.h"

namespace bsq {

// Steps are given as c = 8 * crf; a difference of 64 is a factor of two.
struct Decisions {
  // A keyframe starts at this step or a coarser one, and refines in layers of about `layer_drop` at
  // most down to the step asked for: 96 bits for 96 samples do not do much more than halve the
  // error. Remainders up to `layer_slack` are not worth a layer. The models are trained like this.
  int coarse_intra = 8 * 48;
  // How much finer a keyframe ends than the pictures that are predicted from it.
  int keyframe_gain = 8 * 5;
  int layer_drop = 8 * 10;
  int layer_slack = 8 * 2;
  // Energies, in squared steps per sample, from which a token has 1, 2 and 3 stages; the mean of
  // its luma adds at most `mean_limit`.
  double stage_energy[kStages] = {0.10, 0.45, 1.8};
  double mean_limit = 1.0;
  // A token is coded if that lowers the squared error by more than lambda * step^2 per bit.
  // Keyframes are what all that follows is predicted from, and pay for themselves later.
  double lambda = 0.3;
  double keyframe_lambda = 0.10;
  // What the flags of a coded token cost more than those of a skipped one, in bits.
  double flag_bits = 1.0;
  // The motion search's price of a bit, in steps of absolute error: about sqrt(lambda).
  double motion_lambda = 0.36;
  // A scene cut: the prediction misses by at least `cut_ratio` times what the mean of each token
  // misses by, and by `cut_floor` 8-bit sample values, `cut_distance` frames or more after the
  // keyframe before.
  double cut_ratio = 0.9;
  double cut_floor = 4.0;
  int cut_distance = 8;
};

inline constexpr Decisions kDecisions;

// Steps of the layers of a keyframe in a stream at step c.
std::vector<int> keyframe_steps(int stream_c);

// Sets the stage counts of all tokens from what the prediction misses. `at_least`: fewest stages
// of every token.
void choose_stages(const Frame& source, const Frame& prediction, int c, int at_least,
                   ThreadPool& pool, TokenField& tokens);

// Sets one flag per window in raster order: 1 if a token of it has stages.
void mark_windows(const TokenField& tokens, const Geometry& geometry,
                  std::vector<uint8_t>& windows);

// Takes all stages from tokens that are not worth their bits; `output` [active.count(), 96] is the
// decoder network's for the tokens as they are, `bills` [active.count()] their bits in 2^-24,
// `lambda` the price of a bit in squared steps.
// Returns whether any token has changed.
bool drop_tokens(const Frame& source, const Frame& prediction, const int16_t* output,
                 std::span<const uint64_t> bills, const ActiveTokens& active, int c, double lambda,
                 ThreadPool& pool, TokenField& tokens);

// Whether the picture is better begun anew than predicted. Looks at luma only, and at the source of
// the picture before, since how coarsely that was coded says nothing about the scene: as it is, and
// with motion.
bool is_scene_cut(const Frame& source, const Frame& previous, const Frame& compensated,
                  ThreadPool& pool);

}  // namespace bsq
