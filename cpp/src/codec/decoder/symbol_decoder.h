// The coder of symbols.h that reads.
#pragma once

#include <cstdint>
#include <span>

#include "base/status.h"
#include "codec/common/symbol_coder.h"
#include "entropy/dec_range_coder.h"

namespace bsq {

class SymbolDecoder {
 public:
  static constexpr bool kLearns = true;
  static constexpr bool kKnows = false;

  explicit SymbolDecoder(std::span<const uint8_t> bytes) : decoder_(bytes) {}

  template <class Bit>
  bool adaptive(Bit&& context, bool) {
    const bool bit = decoder_.decode(context.probability());
    context.update(bit);
    return bit;
  }
  bool bit(uint32_t probability, bool) { return decoder_.decode(probability); }

  // Stops work on data that has ended long ago.
  void checkpoint() const {
    if (decoder_.overrun()) {
      throw Error(BSQ_ERROR_BITSTREAM, "the entropy-coded data ends before its symbols do");
    }
  }
  bool ended() const { return decoder_.ended(); }
  void check_end(const char* what) const { decoder_.check_end(what); }

  // Statistics are the encoder's alone.
  void motion() {}
  void flags() {}
  void delta_q() {}
  void samples() {}
  void tokens() {}
  void token(int32_t, int) {}

 private:
  RangeDecoder decoder_;
};

static_assert(SymbolCoder<SymbolDecoder>);

}  // namespace bsq
