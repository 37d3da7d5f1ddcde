// Errors inside the library: one exception type that carries the status code of the C API.
#pragma once

#include <stdexcept>
#include <string>

#include "bsq/bsq.h"

namespace bsq {

// Thrown by everything below the C API. The message is a sentence for the user: what was wrong,
// where (packet, byte) and what to do. The C API catches it and hands out status and message.
class Error : public std::runtime_error {
 public:
  Error(bsq_status status, const std::string& message)
      : std::runtime_error(message), status_(status) {}

  bsq_status status() const noexcept { return status_; }

 private:
  bsq_status status_;
};

// For use inside a catch block at the C API: the status of the exception in flight. `message`,
// when not null, receives its sentence. Exceptions that are not of this library become
// BSQ_ERROR_MEMORY (failed allocations) or BSQ_ERROR_STATE (anything else: an internal error).
bsq_status status_of_current_exception(std::string* message) noexcept;

}  // namespace bsq
