// Decodes what a packet holds of one component into a frame.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "bitstream/packet.h"
#include "bsq/bsq.h"
#include "codec/common/geometry.h"
#include "codec/common/reference_slots.h"
#include "codec/decoder/symbol_decoder.h"
#include "kernels/kernel_table.h"
#include "motion/motion_field.h"
#include "network/model.h"
#include "network/token_field.h"

namespace bsq {

class FrameDecoder;

// A component's frame as a packet has it.
struct CodedFrame {
  FrameRole role;
  const FrameData* data = nullptr;  // its header with the steps filled in
  const uint8_t* packet = nullptr;
  std::string what;                              // with which messages begin
  const FrameDecoder* first = nullptr;           // of the first component, if this is a later one
  std::vector<SymbolDecoder>* coders = nullptr;  // memory for the range decoders of its tiles
};

// Decodes the frames of one component and model, and holds those that others refer to: on the
// processor, or on a device (cpp/cuda).
class FrameDecoder {
 public:
  virtual ~FrameDecoder() = default;

  // The slots of the references hold frames. end_frame() puts the result into its slot. Throws
  // Error(BSQ_ERROR_BITSTREAM) for damage, the message beginning with `what` and the byte; the
  // frames held are then untouched. `layers`: takes the tokens of every layer, or null.
  virtual void decode(const CodedFrame& coded, std::vector<TokenField>* layers) = 0;
  virtual void end_frame() = 0;
  // Of the frame that decode() has made; not of keyframes.
  virtual const MotionField& motion() const = 0;
  // The tokens of the last layer of that frame.
  virtual const TokenField& coded_tokens() const = 0;
  // The frame to show from now on: the one in the slot, or the one that ended last (slot -1).
  virtual void present(int slot) = 0;
  // Fills the component's planes and strides for the frame to show, cropped: one byte a sample for
  // 8 bits, two above. The samples stay until the next call.
  virtual void show(bsq_frame& frame) = 0;
};

using FrameDecoderFactory = std::function<std::unique_ptr<FrameDecoder>(
    const Geometry& geometry, const Model& model, ThreadPool& pool)>;

// Frames that are decoded on the processor.
FrameDecoderFactory decode_on_cpu(const KernelTable& kernels);

}  // namespace bsq
