// The encoder's input queue: checks of frames and times, import of samples, and the frames that
// wait for the lookahead.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/plane.h"
#include "base/thread_pool.h"
#include "bsq/bsq.h"
#include "codec/common/geometry.h"
#include "codec/encoder/aq/lowres_analysis.h"
#include "codec/encoder/mode/scene_cut.h"
#include "motion/motion_field.h"
#include "motion/search_kernels.h"

namespace bsq {

// A frame that waits to be coded, or to be shown.
struct SourceFrame {
  std::vector<Frame> components;  // samples of the coded size
  int64_t pts = 0;
  int64_t duration = 0;
  bool keyframe = false;      // asked for
  bool context_only = false;  // another encoder codes it

  // With a lookahead.
  FrameCosts costs;            // from the frame before
  FrameCosts reference_costs;  // from its references, where measure_references() was called
  bool scene_cut = false;      // a scene begins, as far as the frame before tells

  // Known when its turn to be shown comes. Times in seconds.
  bool has_before = false;  // a frame before it has been seen
  double since = 0;         // from the frame shown before; 0 for the first
  double shown = 0;         // its duration, as far as can be known before the next frame
};

// Frames have consecutive numbers in the order in which they are sent. The queue keeps the memory
// of frames that are done: none is allocated once the sizes are known.
class InputQueue {
 public:
  // The number of the first frame; that of a frame before it that is looked at only is 0.
  static constexpr size_t kFirstNumber = 1;

  // `group`: the most frames from one anchor to the next. The pool must outlive the queue.
  InputQueue(const bsq_encoder_config& config, size_t group, const SearchKernels& kernels,
             ThreadPool& pool);

  // Throws Error(BSQ_ERROR_ARGUMENT) for a frame that does not fit, and leaves it out.
  void push(const bsq_frame& frame);
  bool empty() const { return waiting() == 0; }
  // Whether more frames wait than the lookahead needs.
  bool full() const { return waiting() > lookahead_; }

  // The frame that is shown next, at the front of the queue until done(), or until next() is called
  // again, after an exception.
  SourceFrame& next();
  void done();

  // Numbers of the frame at the front and of the one after the last.
  size_t begin() const { return first_; }
  size_t end() const { return first_ + frames_.size(); }
  SourceFrame& frame(size_t number) { return frames_[number - first_]; }
  // The frame before the one at the front, after the first.
  const SourceFrame& previous() const { return previous_; }

  // The numbers of the frames that go on with the scene of a frame in the queue, at most `reach`
  // before and after it, previous() among them, and none from `end` on.
  void list_scene(size_t number, size_t reach, size_t end, std::vector<size_t>& numbers) const;
  // A frame in the queue, or previous().
  const SourceFrame& source_of(size_t number) const;

  // From one frame to a later one; each is in the queue, or previous().
  double seconds_between(size_t number, size_t later) const;

  // With a lookahead, measures a frame's costs from one or two references; each is in the queue, or
  // previous().
  void measure_references(size_t number, size_t first, std::optional<size_t> second);

 private:
  size_t waiting() const { return frames_.size() - (taken_ ? 1 : 0); }
  void check_times(const bsq_frame& frame) const;
  SourceFrame make_frame();
  void import(const bsq_frame& frame, SourceFrame& source);
  void look_at(const bsq_frame& frame);
  void analyse(size_t number, SourceFrame& source);
  bool is_scene_cut(SceneCutDetector& detector, size_t number, const SourceFrame& source);
  const Frame& luma_of(size_t number) const { return source_of(number).components.front(); }
  void drop_front();
  double seconds(int64_t ticks) const;
  double shown_seconds(const SourceFrame& frame) const;

  const bsq_sequence sequence_;
  const std::vector<Geometry> geometries_;  // of the components
  const size_t lookahead_;
  std::optional<LowresAnalysis> analysis_;     // with a lookahead
  std::optional<SceneCutDetector> scene_cut_;  // likewise, where they are looked for
  MotionField motion_;                         // of the frame at work, from the one before
  std::vector<SourceFrame> frames_;
  std::vector<SourceFrame> spare_;  // whose memory serves again
  SourceFrame previous_;
  size_t first_ = kFirstNumber;      // number of the frame at the front
  bool taken_ = false;               // next() has given out the front
  std::optional<int64_t> last_pts_;  // of the last frame that is done
  bool started_ = false;             // a frame has been coded
  bool ended_ = false;               // the last frame to be coded has been sent
};

}  // namespace bsq
