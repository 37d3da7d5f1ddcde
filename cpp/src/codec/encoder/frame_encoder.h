// Encodes the frames of one component into the payloads of packets.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/plane.h"
#include "base/thread_pool.h"
#include "bitstream/packet.h"
#include "codec/common/geometry.h"
#include "codec/common/reference_slots.h"
#include "codec/encoder/mode/decisions.h"
#include "codec/encoder/mode/layer_schedule.h"
#include "codec/encoder/mode/layer_trace.h"
#include "codec/encoder/symbol_encoder.h"
#include "kernels/kernel_table.h"
#include "motion/motion_field.h"
#include "network/model.h"

namespace bsq {

// Payloads last until the next frame is encoded.
struct EncodedFrame {
  PayloadSpans payloads;  // one per tile
  StepList steps;         // q of every layer
  PayloadSpans base_payloads;
  StepList base_steps;  // none: no base frame
  SymbolCosts costs;
  int64_t tokens = 0;
  int64_t coded_tokens = 0;
  int64_t coded_stages = 0;
};

// What is decided for a frame before its tokens are.
struct LayerPlan {
  // q of the layers; between keyframes, layers before the last one that have nothing to code are
  // left out.
  StepList steps;
  std::span<const int16_t> delta_q;  // one per superblock, or empty: all 0
  bool keyframe = false;
  bool tells_motion = true;  // between keyframes, whether the motion is among the symbols
};

// Encodes the frames of one component with one model, and holds those that others refer to: on the
// processor, or on a device (cpp/cuda). Both give the same packets.
//
// A frame goes through begin(); predict() or predict_as(), unless it is a keyframe; encode();
// end_frame(). begin() once more where the result is not wanted.
class FrameEncoder {
 public:
  virtual ~FrameEncoder() = default;

  virtual const Geometry& geometry() const = 0;
  // Whether keyframes have a base frame.
  virtual bool has_base() const = 0;
  // Of the superblocks; after begin() those of the coding state.
  virtual std::span<const int16_t> delta_q() const = 0;
  // Where the layers of frames are noted from now on; null: nowhere. Throws
  // Error(BSQ_ERROR_UNSUPPORTED) where they cannot be.
  virtual void trace(std::vector<LayerTrace>* layers) = 0;

  // The frame to encode, which must stay as it is until end_frame().
  virtual void begin(const Frame& source, const FrameRole& role) = 0;
  // Finds the motion from the references, `range` in luma samples, for the step q, and predicts.
  virtual void predict(int q, int range) = 0;
  // Predicts by the motion of the first component, which is 2^narrower times as wide.
  virtual void predict_as(const MotionField& first) = 0;
  // That of the last prediction.
  virtual const MotionField& motion() const = 0;
  // The prediction, in memory of the encoder until the next call.
  virtual const Frame& prediction() = 0;
  // In memory of the encoder until the next call.
  virtual const EncodedFrame& encode(const LayerPlan& plan) = 0;
  // The sum of squared errors of the luma shown against that of the frame before any filter.
  virtual int64_t luma_error(const Frame& original) = 0;
  // The result takes its slot.
  virtual void end_frame() = 0;
  // The frame in the slot, or the one that ended last (slot -1), likewise.
  virtual const Frame& frame(int slot) = 0;
};

// How frames are encoded.
struct EncodingStyle {
  const Tuning& tuning;
  int preset = 0;  // a bsq_preset
  bool screen_content = true;
};

using FrameEncoderFactory = std::function<std::unique_ptr<FrameEncoder>(
    const Geometry& geometry, const Model& model, const EncodingStyle& style, ThreadPool& pool)>;

// Frames that are encoded on the processor.
FrameEncoderFactory encode_on_cpu(const KernelTable& kernels);

}  // namespace bsq
