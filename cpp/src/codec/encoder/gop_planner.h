// Plans keyframes and hierarchical groups as far as the lookahead reaches, and finds the
// propagation cost of the planned frames.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "bsq/bsq.h"
#include "codec/common/geometry.h"
#include "codec/encoder/aq/lookahead.h"
#include "codec/encoder/gop_control.h"
#include "codec/encoder/gop_structure.h"
#include "codec/encoder/input_queue.h"

namespace bsq {

// A packet goes through plan(), or make_keyframe() after it, and end_packet(). What is planned
// depends only on the frames up to the lookahead after the one shown, and on how many of them there
// are where fewer come: that is the end of the stream.
class GopPlanner {
 public:
  // The most frames from one anchor to the next with these settings.
  static size_t group_of(const bsq_encoder_config& config);

  // `config`: with the records of a first pass, of which keyframes are copied. The other objects
  // must outlive this one.
  GopPlanner(const bsq_encoder_config& config, const Geometry& geometry, const GopControl& gop,
             InputQueue& input);

  // The frames to code for the packet that shows the frame at the front of the queue, in coding
  // order; none where that is coded already. Each is `ahead()` frames behind the front. The result
  // lasts until make_keyframe() or end_packet().
  std::span<const GopFrame> plan();
  // The same where the frame at the front has become a keyframe: what was planned is void.
  std::span<const GopFrame> make_keyframe();
  bool has_b_frames() const { return group_ > 1; }
  // Whether a first pass decides on keyframes here.
  bool has_first_pass() const { return is_first_pass(input_.begin()); }
  // The propagation cost of the frame `place` of the packet, on each superblock; none without a
  // lookahead. It lasts until the next call.
  std::span<const double> propagation(size_t place);
  void end_packet();
  // The number after the last frame that plans depend on now.
  size_t visible_end() const;

 private:
  // A frame that is planned and not coded.
  struct Planned {
    size_t keyframe = 0;    // number of its keyframe in the queue
    bool measured = false;  // it has reference_costs

    size_t number(int index) const { return keyframe + static_cast<size_t>(index); }
  };

  void restart();
  void extend();
  void add_keyframe(size_t number);
  size_t group_size(size_t end, bool is_end);
  size_t fitting_size(size_t size);
  void add_group(size_t size);
  bool is_keyframe(size_t number);
  bool is_first_pass(size_t number) const;
  GopControl::Place place_of(size_t number) const;
  PropagationFrame propagation_frame(size_t i);
  int place_in_list(size_t number) const;
  std::span<const GopFrame> packet() const;

  const GopControl& gop_;
  InputQueue& input_;
  const Geometry geometry_;
  const bool has_lookahead_;
  const size_t horizon_;  // how many frames after the one shown are looked at
  const size_t group_;
  const double longest_group_;       // seconds
  std::vector<uint8_t> first_pass_;  // whether a frame was a keyframe

  // What is planned, in coding order: the frame, and where it is in the queue.
  std::vector<GopFrame> frames_;
  std::vector<Planned> planned_;
  size_t next_ = InputQueue::kFirstNumber;  // the first number that is not planned
  bool restarted_ = true;                   // that must be a keyframe
  size_t keyframe_ = 0;                     // the last keyframe that is planned
  int64_t keyframe_pts_ = 0;
  GroupStart start_;  // of the next group

  PropagationCost propagation_;
  std::vector<PropagationFrame> propagation_frames_;
  std::vector<int> places_;  // in the list above, by number from the front
};

}  // namespace bsq
