// Turns exceptions into status codes for the C API.
#include "base/status.h"

#include <exception>
#include <new>

namespace bsq {
namespace {

// Out of memory, even a short string may not be had; the status alone then has to do.
void set_message(std::string* message, const char* prefix, const char* text) noexcept {
  if (message == nullptr) return;
  try {
    *message = prefix;
    *message += text;
  } catch (...) {
    message->clear();
  }
}

}  // namespace

bsq_status status_of_current_exception(std::string* message) noexcept {
  try {
    throw;
  } catch (const Error& error) {
    set_message(message, "", error.what());
    return error.status();
  } catch (const std::bad_alloc&) {
    set_message(message, "", "out of memory");
    return BSQ_ERROR_MEMORY;
  } catch (const std::length_error&) {
    set_message(message, "", "out of memory: a buffer would be larger than the address space");
    return BSQ_ERROR_MEMORY;
  } catch (const std::exception& error) {
    set_message(message, "internal error: ", error.what());
    return BSQ_ERROR_STATE;
  } catch (...) {
    set_message(message, "", "internal error of unknown type");
    return BSQ_ERROR_STATE;
  }
}

}  // namespace bsq
