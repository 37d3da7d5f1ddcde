// From status codes to the classes of bsqav.errors.
#pragma once

#include <pybind11/pybind11.h>

#include <mutex>
#include <string>

#include "base/status.h"

namespace bsq {

// Throws Error for a status below 0.
inline bsq_status check(bsq_status status, const char* message) {
  if (status < 0) throw Error(status, message);
  return status;
}

// fn() without the GIL, under the lock of its handle; message() is asked for where it fails.
template <class Fn, class Message>
bsq_status call_locked(std::mutex& mutex, const Fn& fn, const Message& message) {
  bsq_status status = BSQ_OK;
  std::string text;
  {
    const pybind11::gil_scoped_release release;
    const std::lock_guard lock(mutex);
    status = fn();
    if (status < 0) text = message();
  }
  return check(status, text.c_str());
}

// The translator of all bindings: an Error becomes its class of bsqav.errors, which is imported
// when it is first needed.
void register_error_translator();

}  // namespace bsq
