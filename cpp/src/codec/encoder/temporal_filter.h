// Motion-compensated temporal filter (MCTF), as in HM, VTM and SVT-AV1: the source of a keyframe or
// an anchor is averaged with frames before and after it. Noise that no other frame can be predicted
// from costs fewer bits, and what is predicted from the frame is nearer to all of them. Not
// normative.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "base/plane.h"
#include "base/thread_pool.h"
#include "bsq/bsq.h"
#include "codec/common/geometry.h"
#include "codec/encoder/mode/drawn_tokens.h"
#include "codec/encoder/temporal_blend.h"
#include "motion/search.h"
#include "motion/search_kernels.h"
#include "motion/search_reference.h"

namespace bsq {

// A frame of the same scene near the one that is filtered.
struct TemporalNeighbour {
  std::span<const Frame> components;
  int distance = 1;  // in frames, before or after
};

// Keeps its memory from frame to frame.
class TemporalFilter {
 public:
  // The pool must outlive the object.
  TemporalFilter(const bsq_encoder_config& config, const SearchKernels& kernels, ThreadPool& pool);

  // How many frames it takes each way: by the preset, since it searches all of them.
  size_t reach() const { return reach_; }
  // The components of the frame, filtered for a stream at q; alpha stays as it is. Empty where the
  // filter would change nothing. The result does not depend on the threads of the pool, and lasts
  // until the next call.
  std::span<const Frame> run(std::span<const Frame> frame,
                             std::span<const TemporalNeighbour> neighbours, double strength, int q);

 private:
  // A neighbour as the frame is predicted from it.
  struct Predicted {
    std::vector<Frame> components;
    BlendErrors errors;
  };

  void predict(const TemporalNeighbour& neighbour, Predicted& predicted);
  void keep_drawn(const Frame& frame, std::span<BlendWeights> weights);
  void blend(std::span<const Frame> frame, std::span<const BlendWeights> weights);

  const std::vector<Geometry> geometries_;
  const size_t filtered_;  // components, the first ones
  const size_t reach_;
  const bool screen_content_;
  const SearchKernels& kernels_;
  ThreadPool& pool_;

  MotionSearch search_;
  SearchReference reference_;
  MotionField narrow_;        // of components with fewer columns
  BlendVariances variances_;  // of the frame at work
  std::vector<Predicted> predicted_;
  std::vector<const BlendErrors*> errors_;  // of the neighbours, as the next two
  std::vector<double> strengths_;
  std::vector<BlendWeights> weights_;
  std::vector<ConstPlaneView> planes_;  // theirs that are blended
  BlendTables tables_;
  DrawnTokens drawn_;
  std::vector<Frame> result_;
};

}  // namespace bsq
