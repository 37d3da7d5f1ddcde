// Settings that encoder and decoder share.
#pragma once

#include <algorithm>
#include <string>

#include "base/status.h"
#include "base/thread_pool.h"

namespace bsq {

inline constexpr int kMaxThreads = 64;

// Threads to use for a setting of 0 (as many as there are processors) to 64. Throws
// Error(BSQ_ERROR_ARGUMENT) outside of that.
inline int thread_count(int setting) {
  if (setting < 0 || setting > kMaxThreads) {
    throw Error(BSQ_ERROR_ARGUMENT, "threads is " + std::to_string(setting) + ", it must be 0 to " +
                                        std::to_string(kMaxThreads));
  }
  return setting == 0 ? std::min(processor_count(), kMaxThreads) : setting;
}

}  // namespace bsq
