// Workers watch for the next loop for a moment, then sleep on a condition variable: a frame has
// hundreds of loops with little between them, and to wake a thread takes longer than many of them.
#include "base/thread_pool.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/status.h"

namespace bsq {
namespace {

// Which pool's loop this thread is inside of, to run nested loops in place: waiting for the pool
// from within one of its own loops would never end.
struct Inside {
  const ThreadPool* pool = nullptr;
  int thread = 0;
};
thread_local Inside inside;

}  // namespace

void ThreadPool::relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

int processor_count() {
  return std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1,
                    ThreadPool::kMaxThreads);
}

// The same, at once where threads share processors.
template <class Condition>
bool ThreadPool::spin(const Condition& condition) const {
  return spins_ ? watch_briefly(condition) : condition();
}

ThreadPool::ThreadPool(int threads) : threads_(threads), spins_(threads <= processor_count()) {
  if (threads < 1 || threads > kMaxThreads) {
    throw Error(BSQ_ERROR_ARGUMENT, "the number of threads is " + std::to_string(threads) +
                                        ", it must be from 1 to " + std::to_string(kMaxThreads));
  }
  errors_.resize(static_cast<size_t>(threads));
  workers_.reserve(static_cast<size_t>(threads) - 1);
  try {
    for (int thread = 1; thread < threads; ++thread) {
      workers_.emplace_back([this, thread] { work(thread); });
    }
  } catch (...) {
    stop();  // threads that did start have to end before the members they use do
    throw;
  }
}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::stop() noexcept {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  started_.notify_all();
  for (std::thread& worker : workers_) worker.join();
  workers_.clear();
}

void ThreadPool::run(size_t count, const Task& task) {
  if (count == 0) return;
  if (inside.pool == this) {
    task(0, count, inside.thread);
    return;
  }
  const std::lock_guard entry(entry_);
  task_ = &task;
  count_ = count;
  if (threads_ == 1 || count == 1) {
    run_part(0);
  } else {
    run_round();
  }
  std::exception_ptr first;
  for (std::exception_ptr& error : errors_) {
    if (!first && error) first = error;
    error = nullptr;
  }
  if (first) std::rethrow_exception(first);
}

void ThreadPool::run_round() {
  {
    const std::lock_guard lock(mutex_);
    running_ = threads_ - 1;
    ++round_;  // after all that the workers read
  }
  started_.notify_all();
  run_part(0);
  const auto finished = [this] { return running_ == 0; };
  if (spin(finished)) return;
  std::unique_lock lock(mutex_);
  finished_.wait(lock, finished);
}

void ThreadPool::run_part(int thread) noexcept {
  const size_t n = std::min(count_, static_cast<size_t>(threads_));
  const size_t w = static_cast<size_t>(thread);
  if (w >= n) return;
  // i * count / n without overflow.
  const auto cut = [&](size_t i) { return i * (count_ / n) + i * (count_ % n) / n; };
  const Inside outer = std::exchange(inside, {this, thread});
  try {
    (*task_)(cut(w), cut(w + 1), thread);
  } catch (...) {
    errors_[w] = std::current_exception();
  }
  inside = outer;
}

void ThreadPool::work(int thread) {
  uint64_t seen = 0;
  for (;;) {
    const auto called = [&] { return stopping_ || round_ != seen; };
    if (!spin(called)) {
      std::unique_lock lock(mutex_);
      started_.wait(lock, called);
    }
    if (stopping_) return;
    seen = round_;
    run_part(thread);
    if (--running_ == 0) {
      const std::lock_guard lock(mutex_);
      finished_.notify_one();
    }
  }
}

}  // namespace bsq
