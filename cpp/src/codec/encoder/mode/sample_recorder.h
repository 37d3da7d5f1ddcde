// The coder of symbols.h that learns as it goes, notes what it codes to be written later, and adds
// up the rate of every token: samples are chosen before the layers are, and written with them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "codec/common/symbol_coder.h"
#include "entropy/bit_cost.h"

namespace bsq {

class SampleRecorder {
 public:
  static constexpr bool kLearns = true;
  static constexpr bool kKnows = true;

  // `token_rates`: bits by token, in 2^-24, counted up.
  explicit SampleRecorder(std::vector<uint64_t>& token_rates) : token_rates_(token_rates) {}

  // The token that the symbols from here on belong to.
  void at(size_t token) { rate_ = &token_rates_[token]; }
  // Forgets what was noted.
  void clear() { symbols_.clear(); }
  template <SymbolCoder Coder>
  void write(Coder& coder) const {
    coder.samples();
    for (const Symbol& symbol : symbols_) coder.bit(symbol.probability, symbol.bit != 0);
  }

  template <class Bit>
  bool adaptive(Bit&& context, bool bit) {
    this->bit(context.probability(), bit);
    context.update(bit);
    return bit;
  }
  bool bit(uint32_t probability, bool bit) {
    *rate_ += bit_cost_q24(bit, probability);
    symbols_.push_back({static_cast<uint16_t>(probability), static_cast<uint16_t>(bit ? 1 : 0)});
    return bit;
  }
  void checkpoint() const {}
  void motion() const {}
  void flags() const {}
  void delta_q() const {}
  void samples() const {}
  void tokens() const {}
  void token(int32_t, int) const {}

 private:
  struct Symbol {
    uint16_t probability;
    uint16_t bit;
  };

  std::vector<uint64_t>& token_rates_;
  uint64_t* rate_ = nullptr;
  std::vector<Symbol> symbols_;
};

static_assert(SymbolCoder<SampleRecorder>);

}  // namespace bsq
