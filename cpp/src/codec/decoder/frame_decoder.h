// Decodes what a packet holds of one component into a picture.
#pragma once

#include <cstddef>
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
#include "codec/decoder/symbol_decoder.h"
#include "kernels/kernel_table.h"
#include "motion/motion_field.h"
#include "network/model.h"
#include "network/token_field.h"

namespace bsq {

class PictureDecoder;

// A component's picture as a packet has it.
struct CodedPicture {
  bool keyframe = false;
  PictureHeader header;  // with its steps filled in
  PayloadSpans payloads;
  PayloadSpans base;  // of the base picture, if there is one
  const uint8_t* packet = nullptr;
  std::string what;                         // with which messages begin
  const PictureDecoder* first = nullptr;    // of the first component, if this is a later one
  std::vector<DecCoder>* coders = nullptr;  // memory for the range decoders of its blocks
};

// Decodes the pictures of one component and model, and holds the last one: on the processor, or on
// a device (cpp/cuda).
class PictureDecoder {
 public:
  virtual ~PictureDecoder() = default;

  // Payloads of a packet, and of a base picture.
  virtual size_t block_count() const = 0;
  virtual size_t base_block_count() const = 0;
  // Between keyframes the picture held is the one before. end_picture() makes the result the
  // picture held. Throws Error(BSQ_ERROR_BITSTREAM) for damage, the message beginning with `what`
  // and the byte; the picture held is then untouched, all else needs a keyframe. `layers`: takes
  // the tokens of every layer, or null.
  virtual void decode(const CodedPicture& coded, std::vector<TokenField>* layers) = 0;
  virtual void end_picture() = 0;
  // Of the picture that decode() has made; not of keyframes.
  virtual const MotionField& motion() const = 0;
  // The tokens of the last layer.
  virtual const TokenField& coded_tokens() const = 0;
  // Fills the component's planes and strides for the picture held, cropped: one byte a sample for 8
  // bits, two above. The samples stay until the next call.
  virtual void show(bsq_picture& picture) = 0;
};

using PictureDecoderFactory = std::function<std::unique_ptr<PictureDecoder>(
    const Geometry& geometry, const Model& model, ThreadPool& pool)>;

// Pictures that are decoded on the processor.
PictureDecoderFactory decode_on_processor(const KernelTable& kernels);

}  // namespace bsq
