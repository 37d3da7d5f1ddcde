// Totals of the whole process, and what each thread is at.
#include "base/stage_clock.h"

#include <chrono>

namespace bsq {
namespace {

struct AtomicTotal {
  std::atomic<int64_t> nanoseconds = 0;
  std::atomic<int64_t> calls = 0;
  std::atomic<int64_t> tokens = 0;
};

std::array<AtomicTotal, kStageCount> totals;

constexpr int kNone = -1;
thread_local int current = kNone;
thread_local int64_t since = 0;

int64_t now() {
  const auto time = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time).count();
}

// Gives the time so far to the stage at work and goes on with another.
void change_to(int stage) {
  const int64_t time = now();
  if (current != kNone) {
    std::atomic<int64_t>& total = totals[static_cast<size_t>(current)].nanoseconds;
    total.fetch_add(time - since, std::memory_order_relaxed);
  }
  current = stage;
  since = time;
}

}  // namespace

std::atomic<bool> stage_clock_on = false;

void set_stage_clock(bool on) {
  if (on) {
    for (AtomicTotal& total : totals) {
      total.nanoseconds = 0;
      total.calls = 0;
      total.tokens = 0;
    }
  }
  stage_clock_on = on;
}

std::array<StageTotal, kStageCount> stage_totals() {
  std::array<StageTotal, kStageCount> out;
  for (size_t i = 0; i < kStageCount; ++i) {
    out[i] = {totals[i].nanoseconds, totals[i].calls, totals[i].tokens};
  }
  return out;
}

void StageScope::enter(Stage stage, size_t tokens) {
  if (current == kNone && stage != Stage::kOther) return;
  entered_ = true;
  outer_ = current;
  AtomicTotal& total = totals[static_cast<size_t>(stage)];
  total.calls.fetch_add(1, std::memory_order_relaxed);
  total.tokens.fetch_add(static_cast<int64_t>(tokens), std::memory_order_relaxed);
  change_to(static_cast<int>(stage));
}

void StageScope::leave() { change_to(outer_); }

}  // namespace bsq
