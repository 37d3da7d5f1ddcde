// Totals of the whole process, and what each thread is at.
#include "base/section_clock.h"

#include <chrono>

namespace bsq {
namespace {

struct AtomicTotal {
  std::atomic<int64_t> nanoseconds = 0;
  std::atomic<int64_t> calls = 0;
  std::atomic<int64_t> tokens = 0;
};

std::array<AtomicTotal, kSectionCount> totals;

constexpr int kNone = -1;
thread_local int current = kNone;
thread_local int64_t since = 0;

int64_t now() {
  const auto time = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time).count();
}

// Gives the time so far to the section at work and goes on with another.
void change_to(int section) {
  const int64_t time = now();
  if (current != kNone) {
    std::atomic<int64_t>& total = totals[static_cast<size_t>(current)].nanoseconds;
    total.fetch_add(time - since, std::memory_order_relaxed);
  }
  current = section;
  since = time;
}

}  // namespace

std::atomic<bool> section_clock_on = false;

void set_section_clock(bool on) {
  if (on) {
    for (AtomicTotal& total : totals) {
      total.nanoseconds = 0;
      total.calls = 0;
      total.tokens = 0;
    }
  }
  section_clock_on = on;
}

std::array<SectionTotal, kSectionCount> section_totals() {
  std::array<SectionTotal, kSectionCount> out;
  for (size_t i = 0; i < kSectionCount; ++i) {
    out[i] = {totals[i].nanoseconds, totals[i].calls, totals[i].tokens};
  }
  return out;
}

void SectionScope::enter(Section section, size_t tokens) {
  if (current == kNone && section != Section::kOther) return;
  entered_ = true;
  outer_ = current;
  AtomicTotal& total = totals[static_cast<size_t>(section)];
  total.calls.fetch_add(1, std::memory_order_relaxed);
  total.tokens.fetch_add(static_cast<int64_t>(tokens), std::memory_order_relaxed);
  change_to(static_cast<int>(section));
}

void SectionScope::leave() { change_to(outer_); }

}  // namespace bsq
