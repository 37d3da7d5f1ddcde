// From status codes to the classes of bsqav.errors.
#pragma once

#include <string>

#include "base/status.h"

namespace bsq {

// Throws Error for a status below 0.
inline bsq_status check(bsq_status status, const char* message) {
  if (status < 0) throw Error(status, message);
  return status;
}

// The translator of all bindings: an Error becomes its class of bsqav.errors, which is imported
// when it is first needed.
void register_error_translator();

}  // namespace bsq
