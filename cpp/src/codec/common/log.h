// Messages to whoever embeds the library.
#pragma once

#include <string>

#include "bsq/bsq.h"

namespace bsq {

// What a config says of messages. Wanted or not: ask before a message is composed.
class Log {
 public:
  Log() = default;
  template <class Config>
  explicit Log(const Config& config) : callback_(config.log), opaque_(config.log_opaque) {}

  explicit operator bool() const { return callback_ != nullptr; }
  void operator()(bsq_log_level level, const std::string& message) const {
    if (callback_ != nullptr) callback_(opaque_, level, message.c_str());
  }

 private:
  bsq_log_callback callback_ = nullptr;
  void* opaque_ = nullptr;
};

}  // namespace bsq
