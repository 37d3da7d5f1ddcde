// Decodes the payloads of one packet into a picture.
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
#include "codec/geometry.h"
#include "kernels/kernel_table.h"
#include "network/model.h"
#include "network/token_field.h"

namespace bsq {

// Payloads by block.
using PayloadSpans = std::vector<std::span<const uint8_t>>;

// Decodes the packets of one format and model, and holds the last picture: on the processor, or on
// a device (cpp/cuda).
class PictureDecoder {
 public:
  virtual ~PictureDecoder() = default;

  // Payloads of a packet, and of a base picture.
  virtual size_t block_count() const = 0;
  virtual size_t base_block_count() const = 0;
  // `header` has its steps filled in; `base`: payloads of its base picture, if it has one. Between
  // keyframes the picture held is the one before. end_picture() makes the result the picture held.
  // Throws Error(BSQ_ERROR_BITSTREAM) for damage, the message beginning with `what` and the byte;
  // the picture held is then untouched, all else needs a keyframe. `layers`: takes the tokens of
  // every layer, or null.
  virtual void decode(const PacketHeader& header, const PayloadSpans& payloads,
                      const PayloadSpans& base, const uint8_t* packet, const std::string& what,
                      std::vector<TokenField>* layers) = 0;
  virtual void end_picture() = 0;
  // The tokens of the last layer.
  virtual const TokenField& coded_tokens() const = 0;
  // Fills format, planes and strides for the picture held, cropped: one byte a sample for 8 bits,
  // two above. The samples stay until the next call.
  virtual void show(bsq_picture& picture) = 0;
};

using PictureDecoderFactory = std::function<std::unique_ptr<PictureDecoder>(
    const Geometry& geometry, const Model& model, ThreadPool& pool)>;

// Pictures that are decoded on the processor.
PictureDecoderFactory decode_on_processor(const KernelTable& kernels);

}  // namespace bsq
