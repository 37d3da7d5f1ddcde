// Members of the C API's structs that are kept for later versions.
#pragma once

#include <algorithm>
#include <iterator>
#include <string>

#include "base/status.h"

namespace bsq {

// Throws Error(BSQ_ERROR_ARGUMENT) where a caller has set one: it means something that this
// version does not know.
template <class Struct>
void require_unreserved(const Struct& value, const char* name) {
  if (std::all_of(std::begin(value.reserved), std::end(value.reserved),
                  [](int64_t member) { return member == 0; })) {
    return;
  }
  throw Error(BSQ_ERROR_ARGUMENT, std::string(name) + ".reserved must be 0");
}

}  // namespace bsq
