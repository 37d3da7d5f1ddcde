// Arithmetic on sizes that throws instead of wrapping, for values derived from untrusted input.
#pragma once

#include <concepts>
#include <cstddef>
#include <limits>
#include <string>
#include <utility>

#include "base/status.h"

namespace bsq {

// a + b. `what` names the quantity in the error message.
template <std::unsigned_integral T>
constexpr T checked_add(T a, T b, const char* what = "size",
                        bsq_status status = BSQ_ERROR_BITSTREAM) {
  if (a > std::numeric_limits<T>::max() - b) {
    throw Error(status, std::string(what) + " is too large: the sum overflows");
  }
  return static_cast<T>(a + b);
}

// a * b.
template <std::unsigned_integral T>
constexpr T checked_mul(T a, T b, const char* what = "size",
                        bsq_status status = BSQ_ERROR_BITSTREAM) {
  if (b != 0 && a > std::numeric_limits<T>::max() / b) {
    throw Error(status, std::string(what) + " is too large: the product overflows");
  }
  return static_cast<T>(a * b);
}

// The value as another integer type, if it fits.
template <std::integral To, std::integral From>
constexpr To checked_cast(From value, const char* what = "value",
                          bsq_status status = BSQ_ERROR_BITSTREAM) {
  if (!std::in_range<To>(value)) {
    throw Error(status, std::string(what) + " is out of range: " + std::to_string(value));
  }
  return static_cast<To>(value);
}

}  // namespace bsq
