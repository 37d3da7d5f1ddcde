// The encoder's input queue: checks of frames and times, import of samples, and the frames that
// wait for the lookahead.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/plane.h"
#include "base/thread_pool.h"
#include "bsq/bsq.h"
#include "codec/common/geometry.h"
#include "codec/encoder/aq/lowres_analysis.h"
#include "motion/search_kernels.h"

namespace bsq {

// A frame that waits to be coded, or is being coded.
struct SourceFrame {
  std::vector<Frame> components;  // samples of the coded size
  int64_t pts = 0;
  int64_t duration = 0;
  bool keyframe = false;      // asked for
  bool context_only = false;  // another encoder codes it
  FrameCosts costs;           // with a lookahead

  // Known when its turn comes. Times in seconds.
  bool has_before = false;  // a frame before it has been seen
  double since = 0;         // from the frame coded before; 0 for the first
  double shown = 0;         // its duration, as far as can be known before the next frame
};

// Keeps the memory of frames that are done: none is allocated once the sizes are known.
class InputQueue {
 public:
  // The pool must outlive the queue.
  InputQueue(const bsq_encoder_config& config, const SearchKernels& kernels, ThreadPool& pool);

  // Throws Error(BSQ_ERROR_ARGUMENT) for a frame that does not fit, and leaves it out.
  void push(const bsq_frame& frame);
  bool empty() const { return waiting_.empty(); }
  // Whether more frames wait than the lookahead needs.
  bool full() const { return waiting_.size() > lookahead_; }

  // The frame whose turn it is, until done().
  SourceFrame& next();
  // Costs of the frame from next() and of up to `most` frames after it; none without a lookahead.
  std::span<const FrameCosts* const> costs(size_t most);
  void done();

 private:
  void check_times(const bsq_frame& frame) const;
  SourceFrame make_frame();
  void import(const bsq_frame& frame, SourceFrame& source);
  void look_at(const bsq_frame& frame);
  double seconds(int64_t ticks) const;
  double shown_seconds(const SourceFrame& frame) const;

  const bsq_sequence sequence_;
  const std::vector<Geometry> geometries_;  // of the components
  const size_t lookahead_;
  std::optional<LowresAnalysis> analysis_;  // with a lookahead
  std::vector<SourceFrame> waiting_;
  std::vector<SourceFrame> spare_;  // whose memory serves again
  SourceFrame current_;
  std::vector<const FrameCosts*> costs_;
  std::optional<int64_t> last_pts_;  // of the last frame that is done
  bool started_ = false;             // a frame has been coded
  bool ended_ = false;               // the last frame to be coded has been sent
};

}  // namespace bsq
