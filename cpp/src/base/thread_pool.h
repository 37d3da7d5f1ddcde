// Threads for data-parallel loops with a fixed assignment of work to threads.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "base/function_ref.h"

namespace bsq {

// Number of processors this process may use, at least 1.
int processor_count();

// A loop over [0, count) is cut into n = min(count, threads) contiguous parts, thread w < n taking
// [w * count / n, (w + 1) * count / n); the calling thread is thread 0. The assignment depends on
// nothing else. Calls block until all parts are done.
//
// When iterations throw, the exception of the lowest index is rethrown in the caller, whatever
// the number of threads; a part stops at its first exception, other parts are finished.
//
// A loop started inside a loop of the same pool runs in its own thread alone. Calls from several
// threads at once are served one after another. Loops of two pools must not be nested crosswise.
class ThreadPool {
 public:
  static constexpr int kMaxThreads = 256;

  // Throws Error(BSQ_ERROR_ARGUMENT) unless 1 <= threads <= kMaxThreads. Starts threads - 1.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return threads_; }
  // Whether every thread may have a processor for itself, so that they may watch for each other
  // inside a loop.
  bool spins() const { return spins_; }
  // Watches until the condition is true.
  template <class Condition>
  static void watch(const Condition& condition) {
    if (watch_briefly(condition)) return;
    while (!condition()) std::this_thread::yield();
  }

  // fn(size_t index) for every index.
  template <class Fn>
  void parallel_for(size_t count, const Fn& fn) {
    run(count, [&fn](size_t begin, size_t end, int) {
      for (size_t i = begin; i < end; ++i) fn(i);
    });
  }

  // The same, thread w of n taking w, w + n, w + 2 n and so on: for rows of a frame, which is
  // often busier above than below. Of several exceptions, that of the lowest thread is rethrown.
  template <class Fn>
  void parallel_rows(size_t count, const Fn& fn) {
    const size_t n = count < static_cast<size_t>(threads_) ? count : static_cast<size_t>(threads_);
    run(n, [&fn, n, count](size_t begin, size_t end, int) {
      for (size_t w = begin; w < end; ++w) {
        for (size_t i = w; i < count; i += n) fn(i);
      }
    });
  }

  // fn(size_t begin, size_t end, int thread) for every part. `thread`, in
  // [0, threads()), may select scratch memory: no two parts run with the same one at a time.
  template <class Fn>
  void parallel_ranges(size_t count, const Fn& fn) {
    run(count, fn);
  }

 private:
  static constexpr int kSpins = 2000;  // some tens of microseconds

  static void relax();
  // Whether the condition came true within a moment.
  template <class Condition>
  static bool watch_briefly(const Condition& condition) {
    for (int i = 0; i < kSpins; ++i) {
      if (condition()) return true;
      relax();
    }
    return condition();
  }
  using Task = FunctionRef<void(size_t begin, size_t end, int thread)>;

  void run(size_t count, const Task& task);
  void run_round();
  void run_part(int thread) noexcept;
  void work(int thread);
  void stop() noexcept;
  template <class Condition>
  bool spin(const Condition& condition) const;

  const int threads_;
  const bool spins_;  // every thread may have a processor for itself
  std::mutex entry_;  // held by the caller whose loop is running

  // Written by the caller while no worker runs, read by the workers of that round.
  const Task* task_ = nullptr;
  size_t count_ = 0;
  std::vector<std::exception_ptr> errors_;  // one per thread

  std::mutex mutex_;  // held to change what the two conditions look at, so that no wake is lost
  std::condition_variable started_;
  std::condition_variable finished_;
  std::atomic<uint64_t> round_ = 0;  // rises with every loop
  std::atomic<int> running_ = 0;     // workers that have not finished the round
  std::atomic<bool> stopping_ = false;

  std::vector<std::thread> workers_;
};

}  // namespace bsq
