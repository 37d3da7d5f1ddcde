// The coders of symbols.h, as concepts. An encoder's coder writes the value that it is given and
// returns it; a decoder's ignores the value and returns what it reads.
#pragma once

#include <concepts>
#include <cstdint>
#include <utility>

namespace bsq {

// Codes the bits of tokens.
template <class C>
concept TokenCoder = requires(C coder, uint32_t probability, bool bit, int32_t index, int first) {
  // Whether corrections of logits follow what is coded; copies of a coder that does not learn may
  // code tokens at the same time.
  { C::kLearns } -> std::convertible_to<bool>;
  // Whether the bits of tokens are known before they are coded.
  { C::kKnows } -> std::convertible_to<bool>;
  { coder.bit(probability, bit) } -> std::same_as<bool>;
  // Throws when a decoder has read far past the end of its data.
  coder.checkpoint();
  // The symbols from here on belong to tokens.
  coder.tokens();
  // Whose bits follow, as an index of an active token, and the number of the first of them.
  coder.token(index, first);
};

// What SymbolCoder codes: it has a probability, and learns.
struct AnyAdaptiveBit {
  uint32_t probability() const;
  void update(bool bit);
};

// Codes all symbols of a layer.
template <class C>
concept SymbolCoder = TokenCoder<C> && requires(C coder, AnyAdaptiveBit context, bool bit) {
  { coder.adaptive(std::move(context), bit) } -> std::same_as<bool>;
  // The symbols from here on belong to motion, to flags, to delta q, or to samples.
  coder.motion();
  coder.flags();
  coder.delta_q();
  coder.samples();
};

}  // namespace bsq
